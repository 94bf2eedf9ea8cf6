//! A character vector whose elements become R's strings when somebody looks at them.
//!
//! A table of runs has an id a row, and few look at many of them; to make R's string for each takes
//! longer than all the rest.

use std::ffi::c_void;
use std::sync::OnceLock;

use extendr_api::prelude::*;
use extendr_ffi::{
    CAR, CDR, DATAPTR_RO, R_NilValue, R_altrep_class_t, R_altrep_data1, R_altrep_data2,
    R_make_altstring_class, R_new_altrep, R_set_altrep_Length_method, R_set_altrep_data1,
    R_set_altrep_data2, R_set_altstring_Elt_method, R_set_altstring_No_NA_method,
    R_set_altstring_Set_elt_method, R_set_altvec_Dataptr_method,
    R_set_altvec_Dataptr_or_null_method, R_xlen_t, Rboolean, Rf_allocVector, Rf_cons, Rf_protect,
    Rf_unprotect, Rf_xlength, SET_STRING_ELT, SEXP, SEXPTYPE, STRING_ELT, STRING_PTR_RO,
};

use fitledger_core::platform::memory;

use crate::to_r;

/// How many bytes say where a text ends.
const END: usize = 8;

/// Texts, one after the other, and where each ends.
#[derive(Default)]
pub struct DeferredStrings {
    bytes: String,
    ends: Vec<u64>,
}

impl DeferredStrings {
    pub fn push(&mut self, text: &str) {
        self.bytes.push_str(text);
        self.ends.push(self.bytes.len() as u64);
    }

    fn get(&self, i: usize) -> &str {
        let start = i.checked_sub(1).map_or(0, |before| self.ends[before]);
        &self.bytes[start as usize..self.ends[i] as usize]
    }

    /// A character vector, in UTF-8.
    pub fn into_vector(self) -> Robj {
        /// Fewer aren't worth it.
        const MANY: usize = 1000;
        if self.ends.len() < MANY {
            let texts = 0..self.ends.len();
            return to_r::strings(texts.map(|i| Some(self.get(i))));
        }
        let bytes = to_r::bytes(self.bytes.as_bytes());
        let ends: Vec<u8> = self.ends.iter().flat_map(|end| end.to_le_bytes()).collect();
        let ends = to_r::bytes(&ends);
        // SAFETY: what is new is protected until the vector holds it.
        unsafe {
            let texts = Rf_protect(Rf_cons(bytes.get(), ends.get()));
            let vector = Rf_protect(R_new_altrep(class(), texts, R_NilValue));
            let kept = Robj::from_sexp(vector);
            Rf_unprotect(2);
            kept
        }
    }
}

impl<'a> FromIterator<&'a str> for DeferredStrings {
    fn from_iter<T: IntoIterator<Item = &'a str>>(texts: T) -> DeferredStrings {
        /// About what a text takes as the vectors grow.
        const BYTES: usize = 128;
        let texts = texts.into_iter();
        memory::ensure(BYTES * texts.size_hint().0);
        let mut all = DeferredStrings::default();
        texts.for_each(|text| all.push(text));
        all
    }
}

fn class() -> R_altrep_class_t {
    struct Class(R_altrep_class_t);
    // SAFETY: R keeps a class for good, and it is only ever handed back to R.
    unsafe impl Send for Class {}
    unsafe impl Sync for Class {}
    static CLASS: OnceLock<Class> = OnceLock::new();
    let class = CLASS.get_or_init(|| unsafe {
        let (name, package) = (c"deferred_strings", c"fitledger");
        let class = R_make_altstring_class(name.as_ptr(), package.as_ptr(), std::ptr::null_mut());
        R_set_altrep_Length_method(class, Some(length));
        R_set_altstring_Elt_method(class, Some(element));
        R_set_altstring_Set_elt_method(class, Some(set_element));
        R_set_altstring_No_NA_method(class, Some(has_no_na));
        R_set_altvec_Dataptr_method(class, Some(data));
        R_set_altvec_Dataptr_or_null_method(class, Some(data_or_null));
        Class(class)
    });
    R_altrep_class_t { ptr: class.0.ptr }
}

// SAFETY of all below: R hands over vectors of our class alone. The first datum is a pair of raw
// vectors, the texts' bytes and their ends, the second one `NULL`; or, once R's strings were needed, the
// first is `NULL` and the second the vector of them.

unsafe fn made(x: SEXP) -> Option<SEXP> {
    unsafe { Some(R_altrep_data2(x)).filter(|&strings| strings != R_NilValue) }
}

/// The bytes of a raw vector.
unsafe fn raw_bytes<'a>(x: SEXP) -> &'a [u8] {
    unsafe {
        let length = Rf_xlength(x) as usize;
        std::slice::from_raw_parts(DATAPTR_RO(x).cast(), length)
    }
}

/// How many texts there are that R has no strings of.
unsafe fn count(x: SEXP) -> usize {
    unsafe { raw_bytes(CDR(R_altrep_data1(x))).len() / END }
}

/// R's string of a text; nothing protects it.
unsafe fn make_one(x: SEXP, i: usize) -> SEXP {
    unsafe {
        let texts = R_altrep_data1(x);
        let ends = raw_bytes(CDR(texts));
        let end = |i: usize| {
            let bytes = ends[END * i..END * (i + 1)].try_into();
            u64::from_le_bytes(bytes.expect("as many bytes")) as usize
        };
        let start = i.checked_sub(1).map_or(0, end);
        let text = std::str::from_utf8(&raw_bytes(CAR(texts))[start..end(i)]);
        to_r::string(text.expect("only texts were kept"))
    }
}

unsafe fn make(x: SEXP) -> SEXP {
    unsafe {
        if let Some(strings) = made(x) {
            return strings;
        }
        let count = count(x);
        let strings = Rf_protect(Rf_allocVector(SEXPTYPE::STRSXP, count as R_xlen_t));
        for i in 0..count {
            SET_STRING_ELT(strings, i as R_xlen_t, make_one(x, i));
        }
        R_set_altrep_data2(x, strings);
        R_set_altrep_data1(x, R_NilValue);
        Rf_unprotect(1);
        strings
    }
}

unsafe extern "C" fn length(x: SEXP) -> R_xlen_t {
    unsafe { made(x).map_or_else(|| count(x) as R_xlen_t, |strings| Rf_xlength(strings)) }
}

unsafe extern "C" fn element(x: SEXP, i: R_xlen_t) -> SEXP {
    unsafe {
        match made(x) {
            Some(strings) => STRING_ELT(strings, i),
            None => make_one(x, i as usize),
        }
    }
}

unsafe extern "C" fn set_element(x: SEXP, i: R_xlen_t, value: SEXP) {
    unsafe { SET_STRING_ELT(make(x), i, value) }
}

/// One may have been set since.
unsafe extern "C" fn has_no_na(x: SEXP) -> i32 {
    unsafe { i32::from(made(x).is_none()) }
}

unsafe extern "C" fn data(x: SEXP, _writable: Rboolean) -> *mut c_void {
    unsafe { STRING_PTR_RO(make(x)).cast_mut().cast() }
}

unsafe extern "C" fn data_or_null(x: SEXP) -> *const c_void {
    unsafe { made(x).map_or(std::ptr::null(), |strings| STRING_PTR_RO(strings).cast()) }
}
