/* Refers to the Rust library's entry point, so that the linker keeps it. */

#include <R_ext/Rdynload.h>

void R_init_fitledger_extendr(DllInfo *dll);

void R_init_fitledger(DllInfo *dll) {
    R_init_fitledger_extendr(dll);
    R_useDynamicSymbols(dll, FALSE);
}
