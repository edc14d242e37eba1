/*
 * Loaded before the C library: writes down, in their order, what a process writes to a database and to the journal beside it, and
 * what it waits for the device to have. EYRIE_TEST_FOLDER holds the files, EYRIE_TEST_TRACE takes the records: a header as below,
 * then `length` bytes.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

struct header {
    uint8_t kind; /* w: written at `place`, s: synced what was recorded before number `place`, t: cut to `place` bytes, u: unlinked */
    uint8_t file; /* an index of NAMES; 9 is the folder itself */
    uint16_t unused;
    uint32_t length;
    uint64_t place;
};

enum { FOLDER = 9, OTHER = -1 };
static const char *const NAMES[] = {"eyrie.db", "eyrie.db-wal", "eyrie.db-journal", "journal"};

static char folder[4096];
static size_t folder_length;
static int trace = -1;
static uint64_t recorded;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

__attribute__((constructor)) static void begin(void)
{
    const char *where = getenv("EYRIE_TEST_FOLDER"), *to = getenv("EYRIE_TEST_TRACE");
    if (!where || !to)
        return;
    folder_length = strlen(where);
    memcpy(folder, where, folder_length + 1);
    trace = syscall(SYS_openat, AT_FDCWD, to, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
}

static int file_of_path(const char *path)
{
    if (trace < 0 || strncmp(path, folder, folder_length) != 0)
        return OTHER;
    if (path[folder_length] == 0)
        return FOLDER;
    for (int file = 0; file < 4; file++)
        if (path[folder_length] == '/' && strcmp(path + folder_length + 1, NAMES[file]) == 0)
            return file;
    return OTHER;
}

static int file_of(int fd)
{
    char link[64], path[4096];
    if (trace < 0)
        return OTHER;
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t length = syscall(SYS_readlinkat, AT_FDCWD, link, path, sizeof path - 1);
    if (length <= 0)
        return OTHER;
    path[length] = 0;
    return file_of_path(path);
}

/* With the lock held. */
static void record(char kind, int file, uint64_t place, const void *data, size_t length)
{
    struct header header = {kind, file, 0, length, place};
    struct iovec parts[2] = {{&header, sizeof header}, {(void *)data, length}};
    if (syscall(SYS_writev, trace, parts, 2) != (ssize_t)(sizeof header + length))
        abort();
    recorded++;
}

ssize_t write(int fd, const void *data, size_t length)
{
    int file = file_of(fd);
    if (file == OTHER || file == FOLDER)
        return syscall(SYS_write, fd, data, length);
    pthread_mutex_lock(&lock);
    uint64_t place = syscall(SYS_lseek, fd, 0, SEEK_CUR);
    ssize_t done = syscall(SYS_write, fd, data, length);
    if (done > 0)
        record('w', file, place, data, done);
    pthread_mutex_unlock(&lock);
    return done;
}

ssize_t pwrite64(int fd, const void *data, size_t length, off64_t place)
{
    int file = file_of(fd);
    if (file == OTHER || file == FOLDER)
        return syscall(SYS_pwrite64, fd, data, length, place);
    pthread_mutex_lock(&lock);
    ssize_t done = syscall(SYS_pwrite64, fd, data, length, place);
    if (done > 0)
        record('w', file, place, data, done);
    pthread_mutex_unlock(&lock);
    return done;
}

ssize_t pwrite(int fd, const void *data, size_t length, off_t place)
{
    return pwrite64(fd, data, length, place);
}

static int synced(long call, int fd)
{
    int file = file_of(fd);
    if (file == OTHER)
        return syscall(call, fd);
    pthread_mutex_lock(&lock);
    uint64_t before = recorded;
    pthread_mutex_unlock(&lock);
    int result = syscall(call, fd);
    pthread_mutex_lock(&lock);
    if (result == 0)
        record('s', file, before, NULL, 0);
    pthread_mutex_unlock(&lock);
    return result;
}

int fsync(int fd)
{
    return synced(SYS_fsync, fd);
}

int fdatasync(int fd)
{
    return synced(SYS_fdatasync, fd);
}

int ftruncate64(int fd, off64_t length)
{
    int file = file_of(fd);
    if (file == OTHER || file == FOLDER)
        return syscall(SYS_ftruncate, fd, length);
    pthread_mutex_lock(&lock);
    int result = syscall(SYS_ftruncate, fd, length);
    if (result == 0)
        record('t', file, length, NULL, 0);
    pthread_mutex_unlock(&lock);
    return result;
}

int ftruncate(int fd, off_t length)
{
    return ftruncate64(fd, length);
}

int unlink(const char *path)
{
    int file = file_of_path(path);
    if (file == OTHER || file == FOLDER)
        return syscall(SYS_unlinkat, AT_FDCWD, path, 0);
    pthread_mutex_lock(&lock);
    int result = syscall(SYS_unlinkat, AT_FDCWD, path, 0);
    if (result == 0)
        record('u', file, 0, NULL, 0);
    pthread_mutex_unlock(&lock);
    return result;
}
