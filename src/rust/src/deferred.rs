//! A character vector whose elements become R's strings when somebody looks at them.
//!
//! A table of runs has an id a row, and few look at many of them; to make R's string for each takes
//! longer than all the rest.

use std::ffi::c_void;
use std::sync::OnceLock;

use extendr_api::Robj;
use extendr_ffi::{
    R_ClearExternalPtr, R_ExternalPtrAddr, R_MakeExternalPtr, R_NilValue, R_RegisterCFinalizerEx,
    R_altrep_class_t, R_altrep_data1, R_altrep_data2, R_make_altstring_class, R_new_altrep,
    R_set_altrep_Length_method, R_set_altrep_data2, R_set_altstring_Elt_method,
    R_set_altstring_No_NA_method, R_set_altstring_Set_elt_method, R_set_altvec_Dataptr_method,
    R_set_altvec_Dataptr_or_null_method, R_xlen_t, Rboolean, Rf_allocVector, Rf_protect,
    Rf_unprotect, SET_STRING_ELT, SEXP, SEXPTYPE, STRING_ELT, STRING_PTR_RO,
};

use crate::to_r;

/// Texts, one after the other, and where each ends.
#[derive(Default)]
pub struct Texts {
    bytes: String,
    ends: Vec<usize>,
}

impl Texts {
    pub fn push(&mut self, text: &str) {
        self.bytes.push_str(text);
        self.ends.push(self.bytes.len());
    }

    fn get(&self, i: usize) -> &str {
        let start = i.checked_sub(1).map_or(0, |before| self.ends[before]);
        &self.bytes[start..self.ends[i]]
    }

    /// A character vector, in UTF-8.
    pub fn into_vector(self) -> Robj {
        /// Fewer aren't worth it.
        const MANY: usize = 1000;
        if self.ends.len() < MANY {
            let texts = 0..self.ends.len();
            return to_r::strings(texts.map(|i| Some(self.get(i))));
        }
        // SAFETY: the pointer owns the texts until R finalizes it, and what is new is protected until
        // the vector holds it.
        unsafe {
            let address = Box::into_raw(Box::new(self)).cast::<c_void>();
            let pointer = Rf_protect(R_MakeExternalPtr(address, R_NilValue, R_NilValue));
            R_RegisterCFinalizerEx(pointer, Some(free), Rboolean::FALSE);
            let vector = Rf_protect(R_new_altrep(class(), pointer, R_NilValue));
            let kept = Robj::from_sexp(vector);
            Rf_unprotect(2);
            kept
        }
    }
}

impl<'a> FromIterator<&'a str> for Texts {
    fn from_iter<T: IntoIterator<Item = &'a str>>(texts: T) -> Texts {
        let mut all = Texts::default();
        texts.into_iter().for_each(|text| all.push(text));
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

// SAFETY of all below: R hands over vectors of our class alone, whose first datum is the pointer to
// the texts and whose second one is `NULL` or, once it was needed, the vector of R's strings.

unsafe extern "C" fn free(pointer: SEXP) {
    unsafe {
        let texts = R_ExternalPtrAddr(pointer).cast::<Texts>();
        R_ClearExternalPtr(pointer);
        if !texts.is_null() {
            drop(Box::from_raw(texts));
        }
    }
}

unsafe fn texts<'a>(x: SEXP) -> &'a Texts {
    unsafe { &*R_ExternalPtrAddr(R_altrep_data1(x)).cast::<Texts>() }
}

unsafe fn made(x: SEXP) -> Option<SEXP> {
    unsafe { Some(R_altrep_data2(x)).filter(|&strings| strings != R_NilValue) }
}

unsafe fn make(x: SEXP) -> SEXP {
    unsafe {
        if let Some(strings) = made(x) {
            return strings;
        }
        let texts = texts(x);
        let strings = Rf_protect(Rf_allocVector(
            SEXPTYPE::STRSXP,
            texts.ends.len() as R_xlen_t,
        ));
        for i in 0..texts.ends.len() {
            SET_STRING_ELT(strings, i as R_xlen_t, to_r::string(texts.get(i)));
        }
        R_set_altrep_data2(x, strings);
        Rf_unprotect(1);
        strings
    }
}

unsafe extern "C" fn length(x: SEXP) -> R_xlen_t {
    unsafe { texts(x).ends.len() as R_xlen_t }
}

unsafe extern "C" fn element(x: SEXP, i: R_xlen_t) -> SEXP {
    unsafe {
        match made(x) {
            Some(strings) => STRING_ELT(strings, i),
            None => to_r::string(texts(x).get(i as usize)),
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
