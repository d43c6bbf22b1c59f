/*
 * Notes which names were made under NAMES_UNDER, and which folders were flushed since: "+PATH" and "=FOLDER", one a line
 * of the file NAMES_LOG. Preloaded into a role. POSIX promises nothing about a name whose folder was not flushed; ext4
 * writes it along with the file all the same, other file systems need not.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <unistd.h>

static const char *under;
static size_t under_length;
static int log_fd = -1;

static void *next(const char *name)
{
    return dlsym(RTLD_NEXT, name);
}

__attribute__((constructor)) static void begin(void)
{
    const char *file = getenv("NAMES_LOG");
    under = getenv("NAMES_UNDER");
    if (!file || !under)
        return;
    under_length = strlen(under);
    int (*open_file)(const char *, int, ...) = next("open");
    log_fd = open_file(file, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
}

static void note(char what, int fd)
{
    char link[64], line[PATH_MAX + 3];
    int before = errno;
    snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
    ssize_t length = readlink(link, line + 1, PATH_MAX);
    if (length > 0 && !strncmp(line + 1, under, under_length)) {
        line[0] = what;
        line[length + 1] = '\n';
        if (write(log_fd, line, (size_t)length + 2) < 0)
            abort();
    }
    errno = before;
}

static int made(int fd, int flags)
{
    if (fd >= 0 && log_fd >= 0 && (flags & O_CREAT) && (flags & O_EXCL))
        note('+', fd);
    return fd;
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
        return made(real(path, flags, mode), flags); \
    }

#define OPENAT(name) \
    int name(int folder, const char *path, int flags, ...) \
    { \
        static int (*real)(int, const char *, int, ...); \
        MODE(flags) \
        if (!real) \
            real = next(#name); \
        return made(real(folder, path, flags, mode), flags); \
    }

OPEN(open)
OPEN(open64)
OPENAT(openat)
OPENAT(openat64)

int linkat(int from, const char *old, int folder, const char *path, int flags)
{
    static int (*real)(int, const char *, int, const char *, int);
    if (!real)
        real = next("linkat");
    int result = real(from, old, folder, path, flags);
    if (!result && log_fd >= 0) {
        /* An open file would be known by either of its names. */
        char link[64], line[PATH_MAX * 2 + 3];
        int before = errno;
        snprintf(link, sizeof(link), "/proc/self/fd/%d", folder);
        ssize_t length = readlink(link, line + 1, PATH_MAX);
        if (length > 0 && !strncmp(line + 1, under, under_length)) {
            line[0] = '+';
            length += snprintf(line + 1 + length, PATH_MAX, "/%s\n", path);
            if (write(log_fd, line, (size_t)length + 1) < 0)
                abort();
        }
        errno = before;
    }
    return result;
}

int fsync(int fd)
{
    static int (*real)(int);
    struct stat status;
    if (!real)
        real = next("fsync");
    int result = real(fd);
    if (!result && log_fd >= 0 && !fstat(fd, &status) && S_ISDIR(status.st_mode))
        note('=', fd);
    return result;
}
