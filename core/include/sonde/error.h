/* SPDX-License-Identifier: MIT */
/*
 * Errors: one int per outcome, one optional struct with the story.
 *
 * Every call answers with an int: zero and up is success (often a count), below
 * zero is one of the codes here. Cold calls (open, attach, load) also take a
 * struct sonde_error last, which a person can read. docs/errors.md has the rules.
 */
#ifndef SONDE_ERROR_H
#define SONDE_ERROR_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Codes are ABI: append only, never renumber. Zero and up is success. */
#define SONDE_ERR_MAP(X)                                                                           \
	X(NOT_MAPPED, -1, "no memory at this address")                                             \
	X(PAGED_OUT, -2, "page is in swap, not in memory")                                         \
	X(IO, -3, "the backend failed to transfer")                                                \
	X(NO_MEMORY, -4, "out of memory")                                                          \
	X(BAD_ARG, -5, "an argument is out of its range")                                          \
	X(BAD_FORMAT, -6, "the input is not what its format demands")                              \
	X(NOT_FOUND, -7, "no such thing")                                                          \
	X(NO_ACCESS, -8, "permission denied")                                                      \
	X(UNSUPPORTED, -9, "not supported here")                                                   \
	X(CANCELLED, -10, "cancelled")                                                             \
	X(TIMED_OUT, -11, "deadline passed")                                                       \
	X(GONE, -12, "the target went away")                                                       \
	X(BUSY, -13, "cannot be done from here at this moment")                                    \
	X(ABI, -14, "plugin and library were built for different interfaces")                      \
	X(NO_TYPES, -15, "the target carries no type information")                                 \
	X(TRUNCATED, -16, "the file ends before this address")                                     \
	X(READ_ONLY, -17, "this memory cannot be written")                                         \
	X(LIMIT, -18, "a bound against hostile input was reached")                                 \
	X(CORRUPT, -19, "the target's data contradicts itself")                                    \
	X(AMBIGUOUS, -20, "more than one thing answers to this name")                              \
	X(NOT_SAVED, -21, "the dump left this page out")                                           \
	X(EXHAUSTED, -22, "no file descriptor is left")                                            \
	X(CLOSED, -23, "the channel is closed")                                                    \
	X(CHANGED, -24, "it changed while it was read")                                            \
	X(REFUSED, -25, "nobody listens at this address")                                          \
	X(UNREACHABLE, -26, "no way leads to this address")                                        \
	X(IN_USE, -27, "somebody else has this address")                                           \
	X(NO_SPACE, -28, "no space is left on the device")                                         \
	X(QUOTA, -29, "the disk quota is used up")                                                 \
	X(EXISTS, -30, "it exists already")                                                        \
	X(NOT_DIRECTORY, -31, "not a directory")                                                   \
	X(IS_DIRECTORY, -32, "is a directory")                                                     \
	X(NOT_EMPTY, -33, "the directory is not empty")                                            \
	X(NAME_TOO_LONG, -34, "a name or a path is too long")                                      \
	X(LOOP, -35, "too many symbolic links, or one that must not be followed")                  \
	X(TOO_LARGE, -36, "the file would be larger than a file may be")                           \
	X(CROSS_DEVICE, -37, "the two are on different file systems")

enum sonde_err {
	SONDE_OK = 0,
#define X(name, value, text) SONDE_E_##name = value,
	SONDE_ERR_MAP(X)
#undef X
};

/*
 * The story of one failure. The caller owns it (a local will do); NULL is allowed
 * wherever one is taken. Filled without allocation; text is always terminated.
 */
struct sonde_error {
	int32_t code;    /* enum sonde_err                                   */
	int32_t os_code; /* errno of the host where there was one, else 0    */
	char text[504];  /* one line, no newline: who: 'what': where: why    */
};

/* The fixed text of a code ("no memory at this address"); never NULL. */
const char *sonde_strerror(int code);

/* The name of a code ("NOT_MAPPED"); "UNKNOWN" for a number that is none. */
const char *sonde_error_name(int code);

/*
 * Fill err (NULL allowed) and hand the code back: return sonde_error_set(err, ...).
 * A NULL fmt takes the fixed text of the code.
 */
int sonde_error_set(struct sonde_error *err, int code, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

/* As sonde_error_set, but the code follows from os_code (an errno) and ": strerror" is appended. */
int sonde_error_os(struct sonde_error *err, int os_code, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

/* Put "context: " in front of the text, once per layer that knows something; returns err's code. */
int sonde_error_prefix(struct sonde_error *err, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));

#ifdef __cplusplus
}
#endif
#endif
