/* SPDX-License-Identifier: MIT */
/*
 * What the bytes mean: the kernel, its processes, modules, mappings and log.
 * OS-neutral. An OS layer finds all it needs in the target's memory; no profile.
 *
 * Lists are handles that own everything in them: one destroy, and every pointer got from
 * them is gone. An item that could not be read whole is still listed, and says what is missing.
 */
#ifndef SONDE_OS_H
#define SONDE_OS_H

#include <sonde/error.h>
#include <sonde/events.h>
#include <sonde/sym.h>
#include <sonde/target.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

struct sonde_os; /* handle */

struct sonde_os_options {
	uint32_t size; /* sizeof(struct sonde_os_options)                              */
	uint32_t pad;
	const char *symbols; /* NULL, or a vmlinux (BTF or DWARF) for kernels without own types */
};

/*
 * Find the operating system in a target's memory and attach to it. options may be NULL.
 *
 * Returns   0; SONDE_E_NOT_FOUND (no kernel passed validation; err lists what was seen),
 *           SONDE_E_NO_TYPES (found, but without BTF: err says which option supplies types),
 *           SONDE_E_UNSUPPORTED (no physical memory, or an architecture not yet known), SONDE_E_GONE.
 * Context   may block; suspends a task.
 * Owns      *ret: sonde_os_detach before the target is closed.
 */
int sonde_os_attach(struct sonde_target *target, const struct sonde_os_options *options,
		    struct sonde_os **ret, struct sonde_error *err);
void sonde_os_detach(struct sonde_os *os); /* NULL is allowed */

/* The kernel and its boot. Strings live until detach. */
struct sonde_kernel {
	const char *family;  /* "linux"                                                   */
	const char *release; /* "6.1.0-50-cloud-amd64"                                    */
	const char *version; /* the banner, one line                                      */
	const char *command_line;
	const char *hostname;
	const char *found_by;   /* how this kernel was chosen, for a person                  */
	const char *types_from; /* where its types came from                                 */
	uint32_t arch;          /* enum sonde_arch                                           */
	uint32_t page_levels;   /* 4 or 5 on x86-64, 2 to 5 on aarch64                       */
	uint32_t n_cpus;        /* online                                                    */
	uint32_t candidates;    /* kernels looked at before one passed, this one included    */
	uint64_t page_table;    /* physical address of the kernel's root table               */
	uint64_t kaslr_offset;  /* of the kernel image's virtual address                     */
	uint64_t phys_base;     /* physical: x86-64: where the kernel map starts; else _text */
	uint64_t text_start, text_end; /* virtual                                            */
	uint64_t boot_time_ns; /* Unix time; 0 unknown                                      */
	uint64_t uptime_ns;    /* 0 unknown                                                 */
	uint64_t n_symbols;
};
void sonde_os_kernel(const struct sonde_os *os, struct sonde_kernel *ret);

/*
 * Symbols of the kernel and its modules. The first call reads the modules' tables; what cannot be
 * read of them is left out. Borrowed until detach.
 */
const struct sonde_symbols *sonde_os_symbols(struct sonde_os *os);
const struct sonde_types *sonde_os_types(const struct sonde_os *os);

/* The kernel's virtual memory as a space; borrowed until detach. */
struct sonde_space *sonde_os_kernel_memory(const struct sonde_os *os);

/*
 * A blob in which the system describes itself to those who take its dump, as it was found in its memory or came with
 * the target: "VMCOREINFO" of Linux, lines of text without what follows the last. Copies at most cap bytes.
 *
 * Returns   its length in bytes, which may be above cap; SONDE_E_NOT_FOUND.
 * Context   any; reads nothing of the target.
 */
int64_t sonde_os_note(const struct sonde_os *os, const char *name, void *buf, size_t cap);

/*
 * Anything that could not be read of an item sets its bit in missing, and err to the first
 * reason. The field then is 0 or NULL; where err is SONDE_E_CHANGED it is what was there at some moment: a live
 * target had put something else in the item's place before all of it was read.
 */
enum sonde_process_field {
	SONDE_PROCESS_IDENTITY = 1u << 0, /* pid tgid ppid name state kernel_thread: always asked */
	SONDE_PROCESS_CRED = 1u << 1,     /* uid gid euid egid                                 */
	SONDE_PROCESS_TIMES = 1u << 2,    /* start_ns                                          */
	SONDE_PROCESS_MEMORY = 1u << 3,   /* rss vsize                                         */
	SONDE_PROCESS_CMDLINE = 1u << 4,  /* cmdline                                           */
	SONDE_PROCESS_EXE = 1u << 5,      /* exe                                               */
	SONDE_PROCESS_ALL = (1u << 6) - 1,
};

struct sonde_process {
	uint64_t addr; /* of the OS's own record (task_struct)                      */
	uint64_t parent_addr;
	int32_t pid; /* in the initial pid namespace                              */
	int32_t tgid, ppid;
	uint32_t uid, gid; /* real                                                      */
	uint32_t euid, egid;
	char state;            /* as ps: R S D T t Z X I; '?' not known                     */
	uint8_t kernel_thread; /* 0 or 1                                                    */
	uint16_t pad;
	uint32_t n_threads;
	uint64_t start_ns;    /* since boot (CLOCK_BOOTTIME)                               */
	uint64_t rss;         /* bytes                                                     */
	uint64_t vsize;       /* bytes                                                     */
	uint64_t page_table;  /* physical address of the root; 0: borrows the kernel's     */
	const char *name;     /* comm; bytes as they are, terminated                       */
	const char *cmdline;  /* arguments as in memory, each ended by NUL; NULL unknown   */
	uint64_t cmdline_len; /* bytes, all NULs included                                  */
	const char *exe;      /* path; NULL for none; deleted files end in " (deleted)"    */
	uint32_t missing;     /* enum sonde_process_field that could not be read           */
	int32_t err;          /* the first reason, 0 none                                  */
};

struct sonde_processes; /* handle */

/*
 * All processes (thread-group leaders), by rising pid. fields: what to fetch.
 *
 * Returns   0; SONDE_E_CORRUPT or _NOT_MAPPED when the list itself cannot be read at all; SONDE_E_NO_MEMORY,
 *           SONDE_E_GONE. A damaged list gives what could be reached, and sonde_processes_damage tells.
 */
int sonde_os_processes(struct sonde_os *os, uint32_t fields, struct sonde_processes **ret,
		       struct sonde_error *err);
size_t sonde_processes_count(const struct sonde_processes *list);
const struct sonde_process *sonde_processes_at(const struct sonde_processes *list, size_t index);
/* NULL, or one line on what could not be followed. */
const char *sonde_processes_damage(const struct sonde_processes *list);
void sonde_processes_destroy(struct sonde_processes *list); /* NULL is allowed */

/* One process by pid: a list of one. SONDE_E_NOT_FOUND. */
int sonde_os_process(struct sonde_os *os, int32_t pid, uint32_t fields,
		     struct sonde_processes **ret, struct sonde_error *err);

/* All threads, or those of one process (pid > 0): each a struct sonde_process whose pid is the thread's. */
int sonde_os_threads(struct sonde_os *os, int32_t pid, uint32_t fields,
		     struct sonde_processes **ret, struct sonde_error *err);

/* A general register; its name, which lives until detach: "rax" "rip", "x0" "pc". */
struct sonde_register {
	const char *name;
	uint64_t value;
};
#define SONDE_REGISTERS_MAX 64u /* no architecture here has more */

/*
 * Registers of a thread: of the image of a process as they were; of this machine as they are at a moment for which it is stopped (ptrace). It goes on as
 * before at once, whatever happens here; a system call that it waits in may be started anew by the kernel (ptrace(2)).
 * At most cap are written, those of user code, in the order of the architecture's manuals.
 *
 * Returns   how many there are; SONDE_E_NOT_FOUND (no such thread), _GONE, _BUSY (somebody traces it already: err
 *           names who), _NO_ACCESS (err names what would allow it), _TIMED_OUT (it does not stop within a second),
 *           _NOT_SAVED (the image has none of it), _UNSUPPORTED (a guest; an architecture that is not known).
 * Context   this machine: blocks, in a thread of its own for as long as it takes; this program gets a SIGCHLD, and must not wait
 *           for just any child meanwhile.
 */
int sonde_os_registers(struct sonde_os *os, int32_t tid, struct sonde_register *ret, size_t cap,
		       struct sonde_error *err);

/*
 * The virtual memory of a process as a space.
 *
 * Returns   0; SONDE_E_NOT_FOUND (no such pid), SONDE_E_NOT_MAPPED (a kernel thread or zombie has none).
 * Owns      *ret: sonde_space_close before detach.
 */
int sonde_os_process_memory(struct sonde_os *os, int32_t pid, struct sonde_space **ret,
			    struct sonde_error *err);

/*
 * What code a process is made of: *ret is an enum sonde_arch, by the ELF header of the first program or library that is
 * mapped in it. It is I386 of a process of 32 bits under a kernel of x86-64, ARM of one under aarch64, NONE of an
 * architecture that is not known here.
 *
 * Returns   0; SONDE_E_NOT_FOUND (no such pid; no such header is in memory), else as sonde_os_mappings.
 */
int sonde_os_process_arch(struct sonde_os *os, int32_t pid, uint32_t *ret, struct sonde_error *err);

/* A stretch of a module, as its own header has it. */
struct sonde_section {
	uint64_t addr, size;
	uint32_t flags; /* enum sonde_region_flag: READ WRITE EXEC */
	uint32_t pad;
	const char *name; /* ".text"; bytes as they are */
};

/* Who runs on a processor of a guest. */
struct sonde_current {
	uint64_t addr;       /* of the OS's own record (task_struct)                      */
	uint64_t page_table; /* physical address of the root; 0: borrows another's        */
	int32_t pid;         /* of the thread, in the initial pid namespace               */
	int32_t tgid;        /* of its process                                            */
	char name[64];       /* comm; bytes as they are, terminated                       */
};

/*
 * The thread that an event has come to, by the registers that came with it, while the guest stands still.
 *
 * Returns   0; SONDE_E_NOT_FOUND (the registers tell no thread: user code on aarch64 and riscv64, or too early in the
 *           boot), SONDE_E_NOT_MAPPED, _CORRUPT (what they lead to is none), SONDE_E_UNSUPPORTED (this machine itself), _GONE.
 * Context   as sonde_space_read, three times.
 */
int sonde_os_current(struct sonde_os *os, const struct sonde_event *event,
		     struct sonde_current *ret, struct sonde_error *err);
/*
 * The user memory behind a root table (sonde_current, sonde_process) as a space, without asking whose it is.
 *
 * Returns   0; SONDE_E_NOT_MAPPED (page_table is 0), SONDE_E_UNSUPPORTED (this machine itself), SONDE_E_NO_MEMORY.
 * Owns      *ret: sonde_space_close before detach.
 */
int sonde_os_table_memory(struct sonde_os *os, uint64_t page_table, struct sonde_space **ret,
			  struct sonde_error *err);

struct sonde_module {
	uint64_t addr; /* of the OS's own record                     */
	uint64_t base; /* first byte                                 */
	uint64_t size; /* bytes, all parts                           */
	const char *name;
	const char *state;    /* "live" "coming" "going" "unformed"         */
	uint32_t refs;        /* users                                      */
	int32_t err;          /* the first field that failed, 0 none        */
	const char *path;     /* of an image in a process: its file; else NULL        */
	const char *build_id; /* ... hex digits of what its linker noted, NULL: none  */
	const struct sonde_section *sections; /* [n_sections], of a PE module (Wine); else NULL */
	uint64_t n_sections;
};
struct sonde_modules; /* handle */
/*
 * Modules: of a kernel those that it has loaded; of a target that is a process the programs and libraries that
 * are mapped in it, by rising base, whose state is NULL.
 */
int sonde_os_modules(struct sonde_os *os, struct sonde_modules **ret, struct sonde_error *err);
size_t sonde_modules_count(const struct sonde_modules *list);
const struct sonde_module *sonde_modules_at(const struct sonde_modules *list, size_t index);
const char *sonde_modules_damage(const struct sonde_modules *list);
void sonde_modules_destroy(struct sonde_modules *list);

struct sonde_mapping {
	uint64_t start, end; /* end is exclusive                                       */
	uint64_t offset;     /* bytes into the file                                    */
	uint64_t inode;
	uint32_t dev_major, dev_minor;
	uint32_t flags; /* enum sonde_region_flag: READ WRITE EXEC SHARED         */
	int32_t err;
	const char *path; /* file, "[heap]" "[stack]" "[vdso]" ..., "" for none     */
};
struct sonde_mappings; /* handle */
/* By rising address. As sonde_os_process_memory for errors. */
int sonde_os_mappings(struct sonde_os *os, int32_t pid, struct sonde_mappings **ret,
		      struct sonde_error *err);
size_t sonde_mappings_count(const struct sonde_mappings *list);
const struct sonde_mapping *sonde_mappings_at(const struct sonde_mappings *list, size_t index);
const char *sonde_mappings_damage(const struct sonde_mappings *list);
void sonde_mappings_destroy(struct sonde_mappings *list);

struct sonde_log_record {
	uint64_t seq;
	uint64_t time_ns; /* since boot, the kernel's local clock             */
	uint32_t level;   /* 0 emergency .. 7 debug                           */
	uint32_t facility;
	uint32_t caller;   /* thread id, or 0x80000000 | cpu; 0 unknown        */
	uint32_t text_len; /* bytes                                            */
	const char *text;  /* as written, may hold newlines; terminated        */
};
struct sonde_log; /* handle */
/* The kernel's log, oldest first. */
int sonde_os_log(struct sonde_os *os, struct sonde_log **ret, struct sonde_error *err);
size_t sonde_log_count(const struct sonde_log *log);
const struct sonde_log_record *sonde_log_at(const struct sonde_log *log, size_t index);
const char *sonde_log_damage(const struct sonde_log *log);
void sonde_log_destroy(struct sonde_log *log);

/* What page tables say of a page. */
enum sonde_page_flag {
	SONDE_PAGE_READ = SONDE_REGION_READ,
	SONDE_PAGE_WRITE = SONDE_REGION_WRITE,
	SONDE_PAGE_EXEC =
		SONDE_REGION_EXEC, /* by user code of a page that is the user's, else by the kernel */
	SONDE_PAGE_USER = 1u << 8,   /* user code may touch it                          */
	SONDE_PAGE_GLOBAL = 1u << 9, /* the same in every address space                 */
	SONDE_PAGE_ACCESSED = 1u << 10,
	SONDE_PAGE_DIRTY = 1u << 11,
	SONDE_PAGE_PRESENT = 1u << 12, /* not: the system keeps it from the processor (PROT_NONE) */
	SONDE_PAGE_SIZES = 1u << 13,   /* sonde_os_pages: runs are of pages of one size         */
	SONDE_PAGE_SAME = 1u << 14, /* of a run, always told: each of its pages is the one at pa */
	/* What the system says of a page beyond its tables; of processes of this machine only. */
	SONDE_PAGE_SWAPPED = 1u << 15, /* not in memory: in swap, at swap_type and swap_offset  */
	SONDE_PAGE_FILE = 1u << 16,    /* of a file, or shared anonymous memory                 */
	SONDE_PAGE_SOFT_DIRTY = 1u
				<< 17,   /* written since somebody cleared the mark (clear_refs)  */
	SONDE_PAGE_EXCLUSIVE = 1u << 18, /* mapped here and nowhere else                          */
	SONDE_PAGE_HUGE = 1u << 19,      /* mapped by a larger entry, whose size is not told      */
	SONDE_PAGE_ZERO = 1u << 20,      /* the page of zeros: read, but never written            */
	SONDE_PAGE_UNPLACED =
		1u << 21, /* always told: pa, swap_type and swap_offset are not known */
};

/*
 * What the last entry of a walk says: X(name, text). Those from SWAPPED on are what an operating system notes
 * in an entry that is not present, and are told apart where its layer knows how.
 */
#define SONDE_ENTRY_KIND_MAP(X)                                                                    \
	X(MAPPED, "mapped")                                                                        \
	X(KEPT, "in memory, kept from the processor (PROT_NONE)")                                  \
	X(NO_TABLES, "no tables")                                                                  \
	X(OUTSIDE, "not an address of these tables")                                               \
	X(UNREADABLE, "the table cannot be read")                                                  \
	X(EMPTY, "empty")                                                                          \
	X(RESERVED, "present, but the processor faults on it")                                     \
	X(ABSENT, "not present")                                                                   \
	X(SWAPPED, "in swap")                                                                      \
	X(MIGRATING, "in memory, on its way to another place")                                     \
	X(POISONED, "taken out of use after a memory error")                                       \
	X(DEVICE, "in the memory of a device")                                                     \
	X(DEVICE_EXCLUSIVE, "in memory, lent to a device")                                         \
	X(MARKER, "a mark of the kernel without a page")

enum sonde_entry_kind {
#define X(name, text) SONDE_ENTRY_##name,
	SONDE_ENTRY_KIND_MAP(X)
#undef X
};
/* "in swap"; for people. */
const char *sonde_entry_kind_text(uint32_t kind);

/*
 * Where a virtual address lies. pid 0: the kernel's own map.
 *
 * Returns   0; SONDE_E_NOT_MAPPED, _PAGED_OUT, _NOT_FOUND (no such pid) or what reading the tables said. *ret
 *           is filled either way: how far the walk came, by its entries, and in kind what ended it.
 */
struct sonde_translation {
	uint64_t pa;        /* physical address of the byte                          */
	uint64_t page_size; /* bytes                                                 */
	uint32_t flags;     /* enum sonde_page_flag                                  */
	uint32_t levels;    /* entries read, 1..5                                    */
	uint64_t entry[5];  /* the entries, from the root down                       */
	uint64_t entry_pa[5];
	uint32_t kind; /* enum sonde_entry_kind                                 */
	uint32_t
		swap_type; /* SWAPPED and behind: the type that the OS noted; of swap, which swap file */
	uint64_t
		swap_offset; /* ... and what with it: of swap a page of the file, else mostly a page number */
};
int sonde_os_translate(struct sonde_os *os, int32_t pid, uint64_t va, struct sonde_translation *ret,
		       struct sonde_error *err);

/*
 * Pages that lie together in virtual and in physical memory, and of which the tables say the same; or, with
 * SONDE_PAGE_SAME, pages that lie together in virtual memory and are one and the same in physical memory.
 */
struct sonde_page_run {
	uint64_t va, pa;
	uint64_t len;         /* bytes                                                  */
	uint32_t flags;       /* enum sonde_page_flag, of those that were asked for     */
	uint64_t page_size;   /* bytes, of the first of them                            */
	uint64_t swap_offset; /* SWAPPED: of the first, in pages; the others follow    */
	uint32_t swap_type;   /* SWAPPED: which swap file                              */
	uint32_t pad;
	const char
		*name; /* of the mapping, where the system tells, else NULL; until the next run */
};

struct sonde_pages; /* handle */

/*
 * All that is mapped, by rising address: of a process its own half, of pid 0 the kernel's. care: enum
 * sonde_page_flag; only these flags are told, and tell runs apart. Tables are read many at a time, as they
 * are needed: trips to the target are a few for each 128 tables.
 *
 * Returns   0; SONDE_E_NOT_FOUND (no such pid), _NOT_MAPPED (it has no memory), _NO_MEMORY.
 * Context   as sonde_space_read.
 * Owns      *ret: sonde_pages_close before detach.
 */
int sonde_os_pages_open(struct sonde_os *os, int32_t pid, uint32_t care, struct sonde_pages **ret,
			struct sonde_error *err);
/*
 * The next run. What cannot be read of the tables is left out.
 *
 * Returns   1; 0: that was all; SONDE_E_LIMIT (tables are met again more often than on any sane machine, or
 *           there are more than 2^20: they are hostile or damaged), _GONE, _BUSY, _NO_MEMORY. An error comes
 *           behind all that was found before it, and again when asked again.
 * Context   as sonde_space_read, now and then.
 */
int sonde_pages_next(struct sonde_pages *pages, struct sonde_page_run *ret);
void sonde_pages_close(struct sonde_pages *pages); /* NULL is allowed */

/* Any result but 0 stops and is handed back. */
typedef int sonde_page_run_fn(void *user, const struct sonde_page_run *run);

/*
 * The same with a callback.
 *
 * Returns   0 or what fn returned to stop; what sonde_os_pages_open and sonde_pages_next say.
 * Context   as sonde_space_read, again and again.
 */
int sonde_os_pages(struct sonde_os *os, int32_t pid, uint32_t care, sonde_page_run_fn *fn,
		   void *user, struct sonde_error *err);

/* A place where a physical address is mapped. */
struct sonde_reverse {
	uint64_t pa;        /* as asked for                                          */
	uint64_t va;        /* of the same byte                                      */
	uint64_t page_size; /* bytes                                                 */
	uint64_t n_pages; /* so many pages in a row, va's the first, are all this page; mostly 1 */
	uint32_t flags;   /* enum sonde_page_flag                                  */
	int32_t pid;      /* 0: the kernel                                         */
};
/* Any result but 0 stops and is handed back. */
typedef int sonde_reverse_fn(void *user, const struct sonde_reverse *at);

/*
 * Find all virtual addresses that lead to n physical ones: in the kernel's half of the tables, looked at once, then in
 * the user's half of those of each process, by rising address. Tables of several processes are read together, and
 * those that processes share (vfork) once.
 *
 * Returns   0 or what fn returned to stop; what sonde_os_processes and sonde_pages_next say. Nothing found is 0.
 * Context   as sonde_space_read, again and again: it reads all page tables there are.
 */
int sonde_os_reverse(struct sonde_os *os, const uint64_t *pas, size_t n, sonde_reverse_fn *fn,
		     void *user, struct sonde_error *err);

/*
 * What the system uses a frame of physical memory for, a page of it. What nothing is known of is OTHER, so whoever
 * leaves frames out by the uses that he names leaves out too few, never too many. Uses may be added.
 */
enum sonde_frame_use {
	SONDE_FRAME_OTHER,         /* the kernel's own, or not known                             */
	SONDE_FRAME_FREE,          /* nobody's: what is in it is left over                       */
	SONDE_FRAME_CACHE,         /* holds a part of a file or of shared memory (page cache)    */
	SONDE_FRAME_CACHE_PRIVATE, /* ... and a file system has notes of its own on it           */
	SONDE_FRAME_USER,          /* a process's own: anonymous, merged (KSM), of hugetlbfs     */
	SONDE_FRAME_POISONED,      /* taken out of use after a memory error: may not be read     */
	SONDE_FRAME_OFFLINE,       /* given back to the host: by a balloon, or unplugged         */
	SONDE_FRAME_RESERVED,      /* given to nobody: the kernel itself, firmware's, set aside  */
	SONDE_FRAME_USES,
};

struct sonde_frames; /* handle */

/*
 * Find the array in which the system keeps account of its page frames.
 *
 * Returns   0; SONDE_E_UNSUPPORTED (the system tells of none, or not all that it takes to read it: err names what),
 *           _CORRUPT (what is there is not that array), _NO_MEMORY, _GONE.
 * Context   as sonde_space_read, a few times.
 * Owns      *ret: sonde_frames_close before detach.
 */
int sonde_os_frames_open(struct sonde_os *os, struct sonde_frames **ret, struct sonde_error *err);
/* Bytes of a frame: a power of two. */
uint32_t sonde_frames_size(const struct sonde_frames *frames);
/*
 * What n frames are used for, as the array says now: ret[i] is the enum sonde_frame_use of the one at physical address
 * (first + i) * size. Many at once cost a trip for some thousands of them.
 *
 * Returns   0; SONDE_E_GONE, _BUSY, _NO_MEMORY.
 * Context   as sonde_space_read, again and again.
 */
int sonde_frames_read(struct sonde_frames *frames, uint64_t first, uint8_t *ret, size_t n);
void sonde_frames_close(struct sonde_frames *frames); /* NULL is allowed */

#ifdef __cplusplus
}
#endif
#endif
