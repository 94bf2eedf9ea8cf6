/* The least that a durable append can be: one write, one flush. */
#include <R.h>
#include <Rinternals.h>
#include <fcntl.h>
#ifdef _WIN32
#include <io.h>
#else
#include <unistd.h>
#endif

static int flush_data(int descriptor)
{
#if defined(_WIN32)
    return _commit(descriptor);
#elif defined(F_FULLFSYNC)
    return fcntl(descriptor, F_FULLFSYNC);
#else
    return fdatasync(descriptor);
#endif
}

SEXP floor_open(SEXP path)
{
    int flags = O_WRONLY | O_CREAT | O_APPEND;
#ifdef _WIN32
    flags |= O_BINARY;
#endif
    int descriptor = open(CHAR(STRING_ELT(path, 0)), flags, 0644);
    if (descriptor < 0) error("can't open the file");
    return ScalarInteger(descriptor);
}

SEXP floor_write(SEXP descriptor, SEXP bytes)
{
    int fd = asInteger(descriptor);
    if (write(fd, RAW(bytes), LENGTH(bytes)) != LENGTH(bytes)) error("can't write");
    if (flush_data(fd) != 0) error("can't flush");
    return R_NilValue;
}

SEXP floor_close(SEXP descriptor)
{
    close(asInteger(descriptor));
    return R_NilValue;
}
