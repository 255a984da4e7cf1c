/* Preloaded into a process: ends it with SIGKILL at a chosen call that changes a file or a folder.
 *
 * calls_until_kill counts down, and 0 means never. The call at which it reaches 0 is not made; of a
 * write of more than a sector the first half is. A sector is written whole or not at all: SQLite's
 * journal relies on that, and so does a page cache.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <unistd.h>

#define SECTOR 512
#define REAL(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))

long calls_until_kill = 0;

static int is_last(void)
{
    return calls_until_kill > 0 && --calls_until_kill == 0;
}

static void end(void)
{
    kill(getpid(), SIGKILL);
    for (;;)
        pause();
}

static size_t half(size_t size)
{
    return size / 2 / SECTOR * SECTOR;
}

ssize_t write(int fd, const void *data, size_t size)
{
    if (is_last()) {
        if (half(size))
            REAL(write)(fd, data, half(size));
        end();
    }
    return REAL(write)(fd, data, size);
}

ssize_t pwrite(int fd, const void *data, size_t size, off_t at)
{
    if (is_last()) {
        if (half(size))
            REAL(pwrite)(fd, data, half(size), at);
        end();
    }
    return REAL(pwrite)(fd, data, size, at);
}

ssize_t pwrite64(int fd, const void *data, size_t size, off64_t at)
{
    if (is_last()) {
        if (half(size))
            REAL(pwrite64)(fd, data, half(size), at);
        end();
    }
    return REAL(pwrite64)(fd, data, size, at);
}

#define OPEN(name)                                                \
    int name(const char *path, int flags, ...)                    \
    {                                                             \
        va_list more;                                             \
        va_start(more, flags);                                    \
        mode_t mode = flags & O_CREAT ? va_arg(more, mode_t) : 0; \
        va_end(more);                                             \
        if (flags & (O_CREAT | O_TRUNC) && is_last())             \
            end();                                                \
        return REAL(name)(path, flags, mode);                     \
    }
OPEN(open)
OPEN(open64)

#define CALL(type, name, parameters, arguments) \
    type name parameters                        \
    {                                           \
        if (is_last())                          \
            end();                              \
        return REAL(name) arguments;            \
    }
CALL(int, fsync, (int fd), (fd))
CALL(int, fdatasync, (int fd), (fd))
CALL(int, ftruncate, (int fd, off_t size), (fd, size))
CALL(int, ftruncate64, (int fd, off64_t size), (fd, size))
CALL(int, unlink, (const char *path), (path))
CALL(int, unlinkat, (int folder, const char *path, int flags), (folder, path, flags))
CALL(int, mkdir, (const char *path, mode_t mode), (path, mode))
CALL(int, rmdir, (const char *path), (path))
CALL(int, rename, (const char *from, const char *to), (from, to))
CALL(int, chmod, (const char *path, mode_t mode), (path, mode))
CALL(int, fchmod, (int fd, mode_t mode), (fd, mode))
