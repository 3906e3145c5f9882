/* Put in front of the C library by LD_PRELOAD: what a process does to the files below one directory fails as the bytes of a
   control file say, which both sides map. BROKEN_BELOW names the directory, BROKEN_BY the file. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/types.h>
#include <unistd.h>

/* The errno of each kind of call; none where it is 0. */
struct control {
	unsigned char write, sync, read;
	/* Whether a call failed so far: no count, which would come to nothing again after so many. */
	unsigned char failed;
};

static volatile struct control none, *control = &none;
static const char *below;

__attribute__((constructor)) static void begin(void)
{
	const char *path = getenv("BROKEN_BY");
	below = getenv("BROKEN_BELOW");
	int file = path && below ? open(path, O_RDWR | O_CLOEXEC) : -1;
	if (file < 0)
		return;
	void *seen = mmap(NULL, sizeof(struct control), PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
	if (seen != MAP_FAILED)
		control = seen;
	close(file);
}

static int is_below(const char *path)
{
	size_t length = below ? strlen(below) : 0;
	return length && !strncmp(path, below, length) && (path[length] == '/' || !path[length]);
}

/* Whether the call on this file is to fail; errno is set then. */
static int fails(int file, unsigned char code)
{
	char name[64], path[4096];
	if (!code)
		return 0;
	snprintf(name, sizeof name, "/proc/self/fd/%d", file);
	ssize_t length = readlink(name, path, sizeof path - 1);
	if (length < 0)
		return 0;
	path[length] = 0;
	if (!is_below(path))
		return 0;
	control->failed = 1;
	errno = code;
	return 1;
}

#define IN_FRONT(type, name, code, parameters, ...)                                  \
	type name parameters                                                             \
	{                                                                                \
		static type(*next) parameters;                                               \
		if (!next)                                                                   \
			next = (type(*) parameters)dlsym(RTLD_NEXT, #name);                      \
		return fails(file, control->code) ? -1 : next(__VA_ARGS__);                  \
	}

IN_FRONT(ssize_t, write, write, (int file, const void *from, size_t length), file, from, length)
IN_FRONT(ssize_t, pwrite64, write, (int file, const void *from, size_t length, off64_t at), file, from, length, at)
IN_FRONT(int, ftruncate64, write, (int file, off64_t length), file, length)
IN_FRONT(int, fsync, sync, (int file), file)
IN_FRONT(int, fdatasync, sync, (int file), file)
IN_FRONT(ssize_t, read, read, (int file, void *to, size_t length), file, to, length)
IN_FRONT(ssize_t, pread64, read, (int file, void *to, size_t length, off64_t at), file, to, length, at)

/* A file system that is read-only says so at the opening already. */
static int refuses(const char *path, int flags)
{
	if (control->write != EROFS || (flags & O_ACCMODE) == O_RDONLY || !is_below(path))
		return 0;
	control->failed = 1;
	errno = EROFS;
	return 1;
}

#define OPENING(name)                                                                \
	int name(const char *path, int flags, ...)                                       \
	{                                                                                \
		static int (*next)(const char *, int, ...);                                  \
		va_list more;                                                                \
		if (!next)                                                                   \
			next = (int (*)(const char *, int, ...))dlsym(RTLD_NEXT, #name);         \
		va_start(more, flags);                                                       \
		mode_t mode = flags & (O_CREAT | O_TMPFILE) ? va_arg(more, mode_t) : 0;      \
		va_end(more);                                                                \
		return refuses(path, flags) ? -1 : next(path, flags, mode);                  \
	}

OPENING(open)
OPENING(open64)
