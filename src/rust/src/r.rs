//! R objects as borrowed values, for the length of one call.

use std::borrow::Cow;
use std::cell::RefCell;
use std::ffi::c_void;
use std::path::{Path, PathBuf};
use std::ptr::null_mut;
use std::time::{Duration, Instant};

use extendr_api::Robj;
use extendr_ffi::{
    DATAPTR_OR_NULL, DATAPTR_RO, INTEGER, LENGTH, LOGICAL, R_BaseEnv, R_CHAR, R_ClassSymbol,
    R_DimNamesSymbol, R_DimSymbol, R_LevelsSymbol, R_NaString, R_NamesSymbol, R_NilValue,
    R_RowNamesSymbol, REAL, Rf_cons, Rf_getAttrib, Rf_install, Rf_isS4, Rf_lcons, Rf_protect,
    Rf_unprotect, Rf_xlength, SEXP, SEXPTYPE, STRING_ELT, TYPEOF, VECTOR_ELT,
};

#[allow(
    improper_ctypes,
    reason = "R's own pointer type, as extendr-ffi declares it"
)]
unsafe extern "C" {
    fn Rf_getCharCE(x: SEXP) -> i32;
    fn R_ToplevelExec(f: unsafe extern "C" fn(*mut c_void), data: *mut c_void) -> i32;
    fn R_tryCatch(
        body: unsafe extern "C" fn(*mut c_void) -> SEXP,
        body_data: *mut c_void,
        conditions: SEXP,
        handler: unsafe extern "C" fn(SEXP, *mut c_void) -> SEXP,
        handler_data: *mut c_void,
        finally: Option<unsafe extern "C" fn(*mut c_void)>,
        finally_data: *mut c_void,
    ) -> SEXP;
    fn R_CheckUserInterrupt();
    fn SETCAR(x: SEXP, y: SEXP) -> SEXP;
}

/// An R object that the caller of the whole call protects.
#[derive(Clone, Copy)]
pub struct R(SEXP);

/// What an element of a character vector is, in UTF-8.
pub enum Text<T = String> {
    Na,
    Is(T),
    /// Bytes that are no text in any encoding that R names.
    Invalid,
}

impl R {
    pub fn of(object: &Robj) -> R {
        use extendr_api::GetSexp;
        // SAFETY: the object outlives the call, and nothing is written through the pointer.
        R(unsafe { object.get() })
    }

    pub fn ty(self) -> SEXPTYPE {
        // SAFETY: `self` is a live object; so in all the accessors below.
        unsafe { TYPEOF(self.0) }
    }

    pub fn len(self) -> usize {
        unsafe { Rf_xlength(self.0) as usize }
    }

    pub fn is_null(self) -> bool {
        self.ty() == SEXPTYPE::NILSXP
    }

    /// Asked by its bit: the name of the type is another one since R 4.4.
    pub fn is_s4(self) -> bool {
        unsafe { Rf_isS4(self.0).into() }
    }

    /// The elements of a vector. To read is all that R is asked for: a pointer to write through may
    /// make it copy the vector.
    fn elements<T>(self) -> &'static [T] {
        slice(unsafe { DATAPTR_RO(self.0) }.cast(), self.len())
    }

    /// The elements of a double vector.
    pub fn doubles(self) -> &'static [f64] {
        assert_eq!(self.ty(), SEXPTYPE::REALSXP);
        self.elements()
    }

    pub fn integers(self) -> &'static [i32] {
        assert_eq!(self.ty(), SEXPTYPE::INTSXP);
        self.elements()
    }

    pub fn logicals(self) -> &'static [i32] {
        assert_eq!(self.ty(), SEXPTYPE::LGLSXP);
        self.elements()
    }

    /// The real and the imaginary part of each element of a complex vector, in turn.
    pub fn complex_parts(self) -> &'static [f64] {
        assert_eq!(self.ty(), SEXPTYPE::CPLXSXP);
        slice(unsafe { DATAPTR_RO(self.0) }.cast(), 2 * self.len())
    }

    pub fn bytes(self) -> &'static [u8] {
        assert_eq!(self.ty(), SEXPTYPE::RAWSXP);
        self.elements()
    }

    /// Whether the elements are in memory, so that R isn't needed to read one.
    pub fn is_in_memory(self) -> bool {
        // SAFETY: asks a vector, and allocates nothing.
        self.len() == 0 || !unsafe { DATAPTR_OR_NULL(self.0) }.is_null()
    }

    /// An element of a list.
    pub fn element(self, i: usize) -> R {
        assert!(self.ty() == SEXPTYPE::VECSXP && i < self.len());
        R(unsafe { VECTOR_ELT(self.0, i as _) })
    }

    /// The elements of a list of so many.
    pub fn cells<const N: usize>(self) -> Option<[R; N]> {
        let is_list = self.ty() == SEXPTYPE::VECSXP && self.len() == N;
        is_list.then(|| std::array::from_fn(|i| self.element(i)))
    }

    /// The element of a list that has a name.
    pub fn named(self, name: &str) -> Option<R> {
        let names = self.names().filter(|_| self.ty() == SEXPTYPE::VECSXP)?;
        let is = |&i: &usize| matches!(names.borrowed_text(i), Text::Is(text) if text == name);
        (0..self.len()).find(is).map(|i| self.element(i))
    }

    /// An element of a character vector.
    pub fn text(self, i: usize) -> Text {
        match self.borrowed_text(i) {
            Text::Na => Text::Na,
            Text::Is(text) => Text::Is(text.into_owned()),
            Text::Invalid => Text::Invalid,
        }
    }

    /// The same without a copy, where none is needed.
    pub fn borrowed_text(self, i: usize) -> Text<Cow<'static, str>> {
        assert!(self.ty() == SEXPTYPE::STRSXP && i < self.len());
        text(unsafe { STRING_ELT(self.0, i as _) })
    }

    /// A single text that is not missing.
    pub fn string(self) -> Option<String> {
        self.borrowed_string().map(Cow::into_owned)
    }

    /// The same without a copy, where none is needed.
    pub fn borrowed_string(self) -> Option<Cow<'static, str>> {
        if self.ty() != SEXPTYPE::STRSXP || self.len() != 1 {
            return None;
        }
        match self.borrowed_text(0) {
            Text::Is(text) => Some(text),
            _ => None,
        }
    }

    /// A single path, with the bytes by which R's own functions know the file: text that isn't marked has them, other text has
    /// them in the encoding of the session. What that can't hold is known by its bytes in UTF-8, see `untranslated()`.
    pub fn path(self) -> Option<PathBuf> {
        let text = self.string()?;
        if text.is_ascii() || !cfg!(unix) {
            return Some(PathBuf::from(text));
        }
        // SAFETY: a single text is an element of a live character vector.
        let element = unsafe { STRING_ELT(self.0, 0) };
        let bytes = match unsafe { Rf_getCharCE(element) } {
            NATIVE => Some(bytes_of(element).to_vec()),
            _ => iconv(R::of(&Robj::from(text.as_str())), "UTF-8", ""),
        };
        Some(path_from(bytes.unwrap_or_else(|| text.into_bytes())))
    }

    /// The first element of a character vector, unless it is missing or empty.
    pub fn first_text(self) -> Option<String> {
        if self.ty() != SEXPTYPE::STRSXP || self.len() == 0 {
            return None;
        }
        match self.text(0) {
            Text::Is(text) if !text.is_empty() => Some(text),
            _ => None,
        }
    }

    /// A single `TRUE`.
    pub fn is_true(self) -> bool {
        self.ty() == SEXPTYPE::LGLSXP && self.logicals() == [1]
    }

    pub fn names(self) -> Option<R> {
        self.attribute(unsafe { R_NamesSymbol })
    }

    pub fn levels(self) -> Option<R> {
        self.attribute(unsafe { R_LevelsSymbol })
    }

    pub fn dim(self) -> Option<R> {
        self.attribute(unsafe { R_DimSymbol })
    }

    pub fn has_dim(self) -> bool {
        self.dim().is_some()
    }

    pub fn dimnames(self) -> Option<R> {
        self.attribute(unsafe { R_DimNamesSymbol })
    }

    /// Those of a data frame; where they only count the rows, integers that R makes anew.
    pub fn row_names(self) -> Option<R> {
        self.attribute(unsafe { R_RowNamesSymbol })
    }

    pub fn named_attribute(self, name: &std::ffi::CStr) -> Option<R> {
        self.attribute(unsafe { Rf_install(name.as_ptr()) })
    }

    fn attribute(self, symbol: SEXP) -> Option<R> {
        let value = R(unsafe { Rf_getAttrib(self.0, symbol) });
        (!value.is_null()).then_some(value)
    }

    pub fn has_class(self) -> bool {
        self.attribute(unsafe { R_ClassSymbol }).is_some()
    }

    pub fn classes(self) -> Vec<String> {
        let class = self.attribute(unsafe { R_ClassSymbol });
        class.map_or_else(Vec::new, R::valid_texts)
    }

    /// The same, of an S4 object with the classes that its own extends.
    pub fn inherited_classes(self) -> Vec<String> {
        match self.is_s4() {
            true => base_call(c".class2", self, &[])
                .map_or_else(Vec::new, |classes| R::of(&classes).valid_texts()),
            false => self.classes(),
        }
    }

    /// The elements of a character vector that are text.
    fn valid_texts(self) -> Vec<String> {
        (0..self.len())
            .filter_map(|i| match self.text(i) {
                Text::Is(text) => Some(text),
                _ => None,
            })
            .collect()
    }

    /// Whether an atomic vector has any attribute. R has no cheap question for it, but knows
    /// quickly whether a single value is identical to a bare copy.
    pub fn has_attributes(self) -> bool {
        if self.len() != 1 {
            return self.attributes().is_some();
        }
        // SAFETY: the copy has the type and the length of the original, and lives for two calls.
        unsafe {
            let copy = Rf_protect(extendr_ffi::Rf_allocVector(self.ty(), 1));
            match self.ty() {
                SEXPTYPE::LGLSXP => *LOGICAL(copy) = self.logicals()[0],
                SEXPTYPE::INTSXP => *INTEGER(copy) = self.integers()[0],
                SEXPTYPE::REALSXP => *REAL(copy) = self.doubles()[0],
                _ => extendr_ffi::SET_STRING_ELT(copy, 0, STRING_ELT(self.0, 0)),
            }
            let same = extendr_ffi::R_compute_identical(self.0, copy, 16);
            Rf_unprotect(1);
            !bool::from(same)
        }
    }

    /// All attributes, a list with names.
    pub fn attributes(self) -> Option<Robj> {
        base_call(c"attributes", self, &[]).filter(|attributes| !R::of(attributes).is_null())
    }

    pub fn attribute_names(self) -> Vec<String> {
        let Some(attributes) = self.attributes() else {
            return Vec::new();
        };
        let names = R::of(&attributes).names();
        names.map_or_else(Vec::new, R::valid_texts)
    }

    /// Puts another function at the head of a call, in place.
    pub fn set_head(self, head: R) {
        assert_eq!(self.ty(), SEXPTYPE::LANGSXP);
        // SAFETY: a call has a head.
        unsafe { SETCAR(self.0, head.0) };
    }

    /// The text of code, in which numbers are as in a session whose options nobody changed.
    pub fn deparse(self) -> Text {
        let width = Robj::from(500);
        let plain = extendr_api::list!(scipen = 0);
        let options = base_call(c"options", R::of(&plain.into()), &[]);
        let lines = base_call(c"deparse", self, &[R::of(&width)]);
        if let Some(options) = options {
            base_call(c"options", R::of(&options), &[]);
        }
        let Some(lines) = lines else {
            return Text::Invalid;
        };
        let lines = R::of(&lines);
        let mut out = Vec::with_capacity(lines.len());
        for i in 0..lines.len() {
            match lines.text(i) {
                Text::Is(line) => out.push(line),
                _ => return Text::Invalid,
            }
        }
        Text::Is(out.join("\n"))
    }
}

fn slice<T>(pointer: *const T, len: usize) -> &'static [T] {
    if len == 0 {
        return &[];
    }
    // SAFETY: R vectors have `len` elements from `pointer` on and outlive the call; nothing that
    // is borrowed here is kept beyond it.
    unsafe { std::slice::from_raw_parts(pointer, len) }
}

// R's `cetype_t`.
const NATIVE: i32 = 0;
const UTF8: i32 = 1;
const LATIN1: i32 = 2;
const BYTES: i32 = 3;

fn bytes_of(element: SEXP) -> &'static [u8] {
    // SAFETY: `element` is an element of a live character vector.
    unsafe { slice(R_CHAR(element).cast::<u8>(), LENGTH(element) as usize) }
}

fn text(element: SEXP) -> Text<Cow<'static, str>> {
    // SAFETY: `element` is an element of a live character vector.
    if unsafe { element == R_NaString } {
        return Text::Na;
    }
    let bytes = bytes_of(element);
    let valid = std::str::from_utf8(bytes).ok().map(Cow::Borrowed);
    match unsafe { Rf_getCharCE(element) } {
        BYTES if !bytes.is_ascii() => Text::Invalid,
        UTF8 => valid.map_or(Text::Invalid, Text::Is),
        LATIN1 => {
            let vector = vector_of(element);
            text_from(only_bytes(base_call(c"enc2utf8", R::of(&vector), &[])))
        }
        // Unmarked text is in the session's encoding, and in the C locale in none: then what is
        // valid as UTF-8 is that.
        _ => match valid {
            Some(text) => Text::Is(text),
            None => text_from(iconv(R::of(&vector_of(element)), "", "UTF-8")),
        },
    }
}

fn text_from(bytes: Option<Vec<u8>>) -> Text<Cow<'static, str>> {
    let text = bytes.and_then(|bytes| String::from_utf8(bytes).ok());
    text.map_or(Text::Invalid, |text| Text::Is(Cow::Owned(text)))
}

fn vector_of(element: SEXP) -> Robj {
    // SAFETY: the new vector is protected until it is an `Robj`.
    unsafe {
        let vector = Rf_protect(extendr_ffi::Rf_allocVector(SEXPTYPE::STRSXP, 1));
        extendr_ffi::SET_STRING_ELT(vector, 0, element);
        let kept = Robj::from_sexp(vector);
        Rf_unprotect(1);
        kept
    }
}

/// A single text in another encoding, if that can hold it; `""` is the session's. R knows which one that is, on each platform.
fn iconv(text: R, from: &str, to: &str) -> Option<Vec<u8>> {
    let (from, to) = (Robj::from(from), Robj::from(to));
    only_bytes(base_call(c"iconv", text, &[R::of(&from), R::of(&to)]))
}

/// The bytes of the only element of a character vector, unless it is missing.
fn only_bytes(vector: Option<Robj>) -> Option<Vec<u8>> {
    let vector = vector?;
    // SAFETY: `vector` is a character vector of length 1.
    let element = unsafe { STRING_ELT(R::of(&vector).0, 0) };
    let is_missing = unsafe { element == R_NaString };
    (!is_missing).then(|| bytes_of(element).to_vec())
}

#[cfg(unix)]
fn path_from(bytes: Vec<u8>) -> PathBuf {
    use std::os::unix::ffi::OsStringExt;
    std::ffi::OsString::from_vec(bytes).into()
}

#[cfg(not(unix))]
fn path_from(bytes: Vec<u8>) -> PathBuf {
    String::from_utf8_lossy(&bytes).into_owned().into()
}

/// A path as a text for R, which [`R::path()`] reads as the same path. To be called where R may be.
pub fn path_text(path: &Path) -> String {
    #[cfg(unix)]
    if path.to_str().is_none() {
        use std::os::unix::ffi::OsStrExt;
        let bytes = path.as_os_str().as_bytes();
        // SAFETY: the new element is protected while a vector is made of it.
        let vector = unsafe {
            let (start, length) = (bytes.as_ptr().cast(), bytes.len() as i32);
            let element = Rf_protect(extendr_ffi::Rf_mkCharLenCE(
                start,
                length,
                extendr_ffi::cetype_t::CE_NATIVE,
            ));
            let vector = vector_of(element);
            Rf_unprotect(1);
            vector
        };
        let text = iconv(R::of(&vector), "", "UTF-8").and_then(|text| String::from_utf8(text).ok());
        if let Some(text) = text {
            return text;
        }
    }
    path.to_string_lossy().into_owned()
}

/// Calls a function of base R on an object as it is, unevaluated, and further plain arguments.
/// `None` when it fails.
pub fn base_call(function: &std::ffi::CStr, object: R, more: &[R]) -> Option<Robj> {
    // SAFETY: every new cell is protected until the call has been evaluated.
    unsafe {
        let mut arguments = Rf_protect(R_NilValue);
        let mut protected = 1;
        for argument in more.iter().rev() {
            arguments = Rf_protect(Rf_cons(argument.0, arguments));
            protected += 1;
        }
        let quoted = Rf_protect(Rf_lcons(
            Rf_install(c"quote".as_ptr()),
            Rf_cons(object.0, R_NilValue),
        ));
        arguments = Rf_protect(Rf_cons(quoted, arguments));
        let call = Rf_protect(Rf_lcons(Rf_install(function.as_ptr()), arguments));
        let result = eval(call);
        Rf_unprotect(protected + 3);
        result
    }
}

/// Evaluates a call in base R; `None` when it fails.
fn eval(call: SEXP) -> Option<Robj> {
    // SAFETY: `R_tryEvalSilent` catches every error.
    unsafe {
        let call = Rf_protect(call);
        let mut failed = 0;
        let result = extendr_ffi::R_tryEvalSilent(call, R_BaseEnv, &mut failed);
        let kept = (failed == 0).then(|| Robj::from_sexp(result));
        Rf_unprotect(1);
        kept
    }
}

/// Why a call was given up before it was done.
pub enum GivenUp {
    /// R has something to signal: an interrupt, or an error such as a time limit that is reached.
    Signal(Robj),
    /// Others hold the lock of this file.
    Busy(PathBuf),
}

thread_local! {
    static GIVEN_UP: RefCell<Option<GivenUp>> = const { RefCell::new(None) };
}

/// Why the last question whether to go on was answered with no.
pub fn given_up() -> Option<GivenUp> {
    GIVEN_UP.take()
}

/// Whether to stop: the user has interrupted, or a time limit is reached. R may run its event loop
/// here, and other errors that this brings are a reason to stop, too.
pub fn interrupted() -> bool {
    struct Look {
        classes: Robj,
        signal: Option<Robj>,
    }
    unsafe extern "C" fn check(_: *mut c_void) -> SEXP {
        // SAFETY: a jump ends in `R_tryCatch`; no Rust frame with anything to drop is between.
        unsafe {
            R_CheckUserInterrupt();
            R_NilValue
        }
    }
    unsafe extern "C" fn keep(condition: SEXP, look: *mut c_void) -> SEXP {
        // SAFETY: `look` is what `catch` has handed on.
        unsafe {
            (*look.cast::<Look>()).signal = Some(Robj::from_sexp(condition));
            R_NilValue
        }
    }
    unsafe extern "C" fn catch(look: *mut c_void) {
        // SAFETY: `look` is a live `Look`, and `check` takes no data.
        unsafe {
            let classes = R::of(&(*look.cast::<Look>()).classes).0;
            R_tryCatch(check, null_mut(), classes, keep, look, None, null_mut());
        }
    }
    let mut look = Look {
        classes: Robj::from(["error", "interrupt"]),
        signal: None,
    };
    // SAFETY: what jumps past `R_tryCatch` ends here.
    let done = unsafe { R_ToplevelExec(catch, (&raw mut look).cast()) } != 0;
    let stop = !done || look.signal.is_some();
    if let Some(signal) = look.signal {
        GIVEN_UP.set(Some(GivenUp::Signal(signal)));
    }
    stop
}

/// So long a call waits for a lock before R says what it waits for.
const QUIET_WAIT: Duration = Duration::from_secs(2);

/// What is asked while waiting for the lock of a file: whether to stop, or to give R the word.
pub fn patience(path: &Path) -> impl FnMut() -> bool {
    let mut began = None;
    move || {
        let began = *began.get_or_insert_with(Instant::now);
        if interrupted() {
            return true;
        }
        let is_long = began.elapsed() >= QUIET_WAIT;
        if is_long {
            GIVEN_UP.set(Some(GivenUp::Busy(path.to_owned())));
        }
        is_long
    }
}
