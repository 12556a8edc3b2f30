/* Preloaded into a process: what it does to the files of one folder, in a log, in order.
 *
 * POWER_FOLDER is the folder, POWER_LOG the log. Each entry is a packed head (operation, file
 * descriptor, number, length) and so many bytes:
 *   O a file was opened, 1 where that made it (its name; the folder itself has none)
 *   X closed    W written at a place (the bytes)    T cut or grown to a size
 *   S synchronised    U unlinked (its name)    R renamed (both names, with a 0 between)
 *   M what was written to a file called "marks", which is never made
 * Maps of shared memory (-shm) are of no disk, and passed over.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <unistd.h>

enum { NONE, HELD, MARKS, MOST = 4096 };

static char kinds[MOST];
static char folder[4096];
static size_t length;
static int out = -1;
static pthread_mutex_t gate = PTHREAD_MUTEX_INITIALIZER;

#define REAL(name) __typeof__(&name) real = (__typeof__(&name))dlsym(RTLD_NEXT, #name)

__attribute__((constructor)) static void begin(void) {
    const char *where = getenv("POWER_FOLDER"), *log = getenv("POWER_LOG");
    if (where == NULL || log == NULL || strlen(where) >= sizeof folder) return;
    strcpy(folder, where);
    length = strlen(folder);
    out = (int)syscall(SYS_openat, AT_FDCWD, log, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
}

static void put(const void *bytes, size_t count) {
    const char *at = bytes;
    while (count > 0) {
        long done = syscall(SYS_write, out, at, count);
        if (done <= 0) abort();
        at += done;
        count -= (size_t)done;
    }
}

static void tell(char what, int fd, long long number, const void *bytes, size_t count) {
    struct __attribute__((packed)) { char what; int fd; long long number; unsigned count; } head = {
        what, fd, number, (unsigned)count
    };
    put(&head, sizeof head);
    put(bytes, count);
}

/* A path's name in the folder, "" for the folder itself, NULL for what is elsewhere. */
static const char *name_of(const char *path) {
    if (out < 0 || strncmp(path, folder, length) != 0) return NULL;
    path += length;
    if (*path == 0) return path;
    if (*path++ != '/' || strchr(path, '/') != NULL) return NULL;
    size_t size = strlen(path);
    return size > 4 && strcmp(path + size - 4, "-shm") == 0 ? NULL : path;
}

static int held(int fd) { return fd >= 0 && fd < MOST && kinds[fd] == HELD; }

static int opened(int (*real)(const char *, int, ...), const char *path, int flags, mode_t mode) {
    const char *name = name_of(path);
    if (name == NULL) return real(path, flags, mode);
    pthread_mutex_lock(&gate);
    int fd, marks = strcmp(name, "marks") == 0;
    if (marks) {
        fd = real("/dev/null", O_WRONLY | O_CLOEXEC);
    } else {
        struct stat found;
        int new = (flags & O_CREAT) != 0 && stat(path, &found) != 0;
        fd = real(path, flags, mode);
        if (fd >= 0 && fd < MOST) {
            tell('O', fd, new, name, strlen(name));
            if (flags & O_TRUNC) tell('T', fd, 0, "", 0);
        }
    }
    if (fd >= MOST) abort();
    if (fd >= 0) kinds[fd] = marks ? MARKS : HELD;
    pthread_mutex_unlock(&gate);
    return fd;
}

#define OPEN(name)                                                                                 \
    int name(const char *path, int flags, ...) {                                                   \
        REAL(name);                                                                                \
        va_list rest;                                                                              \
        va_start(rest, flags);                                                                     \
        mode_t mode = flags & O_CREAT ? va_arg(rest, mode_t) : 0;                                  \
        va_end(rest);                                                                              \
        return opened(real, path, flags, mode);                                                    \
    }
OPEN(open)
OPEN(open64)

int close(int fd) {
    REAL(close);
    if (fd < 0 || fd >= MOST || kinds[fd] == NONE) return real(fd);
    pthread_mutex_lock(&gate);
    if (kinds[fd] == HELD) tell('X', fd, 0, "", 0);
    kinds[fd] = NONE;
    int answer = real(fd);
    pthread_mutex_unlock(&gate);
    return answer;
}

ssize_t write(int fd, const void *bytes, size_t count) {
    REAL(write);
    if (fd < 0 || fd >= MOST || kinds[fd] == NONE) return real(fd, bytes, count);
    pthread_mutex_lock(&gate);
    off_t at = kinds[fd] == HELD ? lseek(fd, 0, SEEK_CUR) : 0;
    ssize_t done = real(fd, bytes, count);
    if (done > 0) tell(kinds[fd] == HELD ? 'W' : 'M', fd, at, bytes, (size_t)done);
    pthread_mutex_unlock(&gate);
    return done;
}

#define PWRITE(name, place)                                                                        \
    ssize_t name(int fd, const void *bytes, size_t count, place at) {                              \
        REAL(name);                                                                                \
        if (!held(fd)) return real(fd, bytes, count, at);                                          \
        pthread_mutex_lock(&gate);                                                                 \
        ssize_t done = real(fd, bytes, count, at);                                                 \
        if (done > 0) tell('W', fd, at, bytes, (size_t)done);                                      \
        pthread_mutex_unlock(&gate);                                                               \
        return done;                                                                               \
    }
PWRITE(pwrite, off_t)
PWRITE(pwrite64, off64_t)

#define NUMBERED(name, what, place)                                                                \
    int name(int fd, place number) {                                                               \
        REAL(name);                                                                                \
        if (!held(fd)) return real(fd, number);                                                    \
        pthread_mutex_lock(&gate);                                                                 \
        int answer = real(fd, number);                                                             \
        if (answer == 0) tell(what, fd, number, "", 0);                                            \
        pthread_mutex_unlock(&gate);                                                               \
        return answer;                                                                             \
    }
NUMBERED(ftruncate, 'T', off_t)
NUMBERED(ftruncate64, 'T', off64_t)

#define SYNC(name)                                                                                 \
    int name(int fd) {                                                                             \
        REAL(name);                                                                                \
        if (!held(fd)) return real(fd);                                                            \
        pthread_mutex_lock(&gate);                                                                 \
        int answer = 0; /* what a disk does is made up afterwards: no need to wait for this one */ \
        tell('S', fd, 0, "", 0);                                                                   \
        pthread_mutex_unlock(&gate);                                                               \
        return answer;                                                                             \
    }
SYNC(fsync)
SYNC(fdatasync)

int unlink(const char *path) {
    REAL(unlink);
    const char *name = name_of(path);
    if (name == NULL) return real(path);
    pthread_mutex_lock(&gate);
    int answer = real(path);
    if (answer == 0) tell('U', -1, 0, name, strlen(name));
    pthread_mutex_unlock(&gate);
    return answer;
}

int rename(const char *from, const char *to) {
    REAL(rename);
    const char *was = name_of(from), *is = name_of(to);
    if (was == NULL || is == NULL) return real(from, to);
    pthread_mutex_lock(&gate);
    int answer = real(from, to);
    if (answer == 0) {
        char names[8192];
        size_t first = strlen(was) + 1, second = strlen(is);
        if (first + second > sizeof names) abort();
        memcpy(names, was, first);
        memcpy(names + first, is, second);
        tell('R', -1, 0, names, first + second);
    }
    pthread_mutex_unlock(&gate);
    return answer;
}
