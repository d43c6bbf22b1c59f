/*
 * Lets one call fail: of those of one name that open, write, flush, link, rename or cut a file under FAILING_UNDER, the one
 * whose turn it is. Preloaded into a role. What is to fail, and what did, stands in a file that both sides have mapped (FAILING_CONTROL).
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <unistd.h>

struct control {
    int64_t turn;  /* which call fails; none while 0 */
    int64_t error; /* its errno */
    int64_t seen;  /* calls of that name since it was set */
    int64_t fired; /* 1 once it failed */
    char what[16]; /* which calls count, by name */
};

static struct control *control;
static const char *under;
static size_t under_length;

static void *next(const char *name)
{
    return dlsym(RTLD_NEXT, name);
}

__attribute__((constructor)) static void begin(void)
{
    const char *file = getenv("FAILING_CONTROL");
    under = getenv("FAILING_UNDER");
    if (!file || !under)
        return;
    under_length = strlen(under);
    int (*open_file)(const char *, int, ...) = next("open");
    int fd = open_file(file, O_RDWR | O_CLOEXEC);
    if (fd < 0)
        return;
    void *mapped = mmap(NULL, sizeof(struct control), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    close(fd);
    if (mapped != MAP_FAILED)
        control = mapped;
}

static int fails(const char *what, const char *path)
{
    if (!control || !path || strncmp(path, under, under_length))
        return 0;
    int64_t turn = __atomic_load_n(&control->turn, __ATOMIC_SEQ_CST);
    if (!turn || strcmp(what, control->what) || __atomic_add_fetch(&control->seen, 1, __ATOMIC_SEQ_CST) != turn)
        return 0;
    __atomic_store_n(&control->fired, 1, __ATOMIC_SEQ_CST);
    errno = (int)control->error;
    return 1;
}

static int fails_on(const char *what, int fd)
{
    char link[64], path[4096];
    if (!control || !__atomic_load_n(&control->turn, __ATOMIC_SEQ_CST))
        return 0;
    snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
    ssize_t length = readlink(link, path, sizeof(path) - 1);
    if (length < 0)
        return 0;
    path[length] = 0;
    return fails(what, path);
}

#define MODE(flags) \
    mode_t mode = 0; \
    if ((flags) & (O_CREAT | O_TMPFILE)) { \
        va_list rest; \
        va_start(rest, flags); \
        mode = va_arg(rest, mode_t); \
        va_end(rest); \
    }

#define OPEN(name) \
    int name(const char *path, int flags, ...) \
    { \
        static int (*real)(const char *, int, ...); \
        MODE(flags) \
        if (!real) \
            real = next(#name); \
        return fails("open", path) ? -1 : real(path, flags, mode); \
    }

#define OPENAT(name) \
    int name(int folder, const char *path, int flags, ...) \
    { \
        static int (*real)(int, const char *, int, ...); \
        MODE(flags) \
        if (!real) \
            real = next(#name); \
        int failed = path[0] == '/' ? fails("open", path) : folder == AT_FDCWD ? 0 : fails_on("open", folder); \
        return failed ? -1 : real(folder, path, flags, mode); \
    }

#define ON(type, name, arguments, values) \
    type name arguments \
    { \
        static type(*real) arguments; \
        if (!real) \
            real = next(#name); \
        return fails_on(#name, fd) ? -1 : real values; \
    }

OPEN(open)
OPEN(open64)
OPENAT(openat)
OPENAT(openat64)
ON(ssize_t, write, (int fd, const void *from, size_t count), (fd, from, count))
ON(ssize_t, writev, (int fd, const struct iovec *from, int count), (fd, from, count))
ON(ssize_t, pwrite, (int fd, const void *from, size_t count, off_t at), (fd, from, count, at))
ON(ssize_t, pwrite64, (int fd, const void *from, size_t count, off64_t at), (fd, from, count, at))
ON(int, fsync, (int fd), (fd))
ON(int, fdatasync, (int fd), (fd))
ON(int, ftruncate, (int fd, off_t length), (fd, length))
ON(int, ftruncate64, (int fd, off64_t length), (fd, length))

int linkat(int fd, const char *old, int folder, const char *path, int flags)
{
    static int (*real)(int, const char *, int, const char *, int);
    if (!real)
        real = next("linkat");
    return fails_on("linkat", folder) ? -1 : real(fd, old, folder, path, flags);
}

int rename(const char *from, const char *to)
{
    static int (*real)(const char *, const char *);
    if (!real)
        real = next("rename");
    return fails("rename", from) ? -1 : real(from, to);
}
