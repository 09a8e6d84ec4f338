/* SPDX-License-Identifier: MIT */
/*
 * Probes in kernels of x86-64. Instructions: Intel SDM volume 2, or AMD64 APM volume 3. Functions begin, perhaps behind endbr64, with
 * five bytes that do nothing (linux v6.6 arch/x86/kernel/ftrace.c, -mfentry). All registers and flags are kept.
 */
#include "code.h"

#include <sonde/target.h>
#include <string.h>

/* From rsp up: the number of the call less one, rbx, rax, the flags, the argument that is text, the way back. */
enum { CALL_LEN = 5, STACK_DOOR = 32, STACK_RETURN = 40 };

enum { EFAULT_NEGATED = 0xf2 }; /* -14, the lowest byte */

struct assembly {
	uint8_t *code;
	size_t n;
};

static void put(struct assembly *a, const void *bytes, size_t n)
{
	memcpy(a->code + a->n, bytes, n);
	a->n += n;
}

#define PUT(a, ...)                                                                                \
	put(a, (const uint8_t[]){ __VA_ARGS__ }, sizeof((const uint8_t[]){ __VA_ARGS__ }))

static void put_le(struct assembly *a, uint64_t value, size_t n)
{
	for (size_t i = 0; i < n; i++)
		PUT(a, (uint8_t)(value >> 8 * i));
}

/* Each says by a byte on the stack which argument is text, -1 none, and all go on behind the last one. */
static void make_doors(struct assembly *a, uint8_t doors[PROBE_DOORS])
{
	enum { DOOR_LEN = 4 };

	for (uint8_t i = 0; i < PROBE_DOORS; i++) {
		doors[i] = (uint8_t)a->n;
		PUT(a, 0x6a, i < PROBE_ARGUMENTS ? i : 0xff);              /* push i */
		PUT(a, 0xeb, (uint8_t)((PROBE_DOORS - 1 - i) * DOOR_LEN)); /* jmp */
	}
}

/* rbx: the record of this call. */
static void take_record(struct assembly *a, uint64_t ring)
{
	PUT(a, 0x9c, 0xfa, 0x50, 0x53); /* pushfq; cli; push rax; push rbx */
	PUT(a, 0x48, 0xbb);             /* mov rbx, ring */
	put_le(a, ring, 8);
	PUT(a, 0xb8, 1, 0, 0, 0);             /* mov eax, 1 */
	PUT(a, 0xf0, 0x0f, 0xc1, 0x03, 0x50); /* lock xadd [rbx], eax; push rax */
	PUT(a, 0x25);                         /* and eax, PROBE_RECORDS - 1 */
	put_le(a, PROBE_RECORDS - 1, 4);
	PUT(a, 0x69, 0xc0); /* imul eax, eax, PROBE_RECORD_LEN */
	put_le(a, PROBE_RECORD_LEN, 4);
	PUT(a, 0x48, 0x8d, 0x9c, 0x03); /* lea rbx, [rbx + rax + PROBE_HEAD_LEN] */
	put_le(a, PROBE_HEAD_LEN, 4);
	PUT(a, 0xc7, 0x43, RECORD_NUMBER, 0, 0, 0, 0); /* mov dword [rbx], 0 */
	PUT(a, 0xc7, 0x43, RECORD_TEXT_LEN, EFAULT_NEGATED, 0xff, 0xff,
	    0xff); /* mov dword [rbx + n], -14 */
}

static void note_arguments(struct assembly *a)
{
	static const uint8_t stores[PROBE_ARGUMENTS][3] = {
		{ 0x48, 0x89, 0x7b }, { 0x48, 0x89, 0x73 },
		{ 0x48, 0x89, 0x53 }, /* mov [rbx + n], rdi rsi rdx */
		{ 0x48, 0x89, 0x4b }, { 0x4c, 0x89, 0x43 },
		{ 0x4c, 0x89, 0x4b }, /* rcx r8 r9 */
	};

	for (size_t i = 0; i < PROBE_ARGUMENTS; i++) {
		put(a, stores[i], sizeof(stores[i]));
		PUT(a, (uint8_t)(RECORD_ARGUMENTS + 8 * i));
	}
}

static void note_rest(struct assembly *a, const struct probe_places *places)
{
	PUT(a, 0x48, 0x8b, 0x44, 0x24, STACK_RETURN, 0x48, 0x89, 0x43,
	    RECORD_RETURN);                   /* mov rax, [rsp + n]; mov [rbx + n], rax */
	PUT(a, 0x65, 0x48, 0x8b, 0x04, 0x25); /* mov rax, gs:[current_task] */
	put_le(a, (uint32_t)places->current_task, 4);
	PUT(a, 0x48, 0x89, 0x43, RECORD_TASK); /* mov [rbx + n], rax */
	PUT(a, 0x65, 0x8b, 0x04, 0x25);        /* mov eax, gs:[cpu_number] */
	put_le(a, (uint32_t)places->cpu_number, 4);
	PUT(a, 0x89, 0x43, RECORD_CPU); /* mov [rbx + n], eax */
	PUT(a, 0x0f, 0x31);             /* rdtsc */
	PUT(a, 0x89, 0x43, RECORD_CLOCK, 0x89, 0x53,
	    RECORD_CLOCK + 4); /* mov [rbx + n], eax; mov [rbx + n + 4], edx */
	PUT(a, 0x48, 0x8b, 0x53, RECORD_ARGUMENTS + 16); /* mov rdx, [rbx + n] */
}

/* The jump whose distance is the byte before n leads here. */
static void land(struct assembly *a, size_t n)
{
	a->code[n - 1] = (uint8_t)(a->n - n);
}

static void copy_text(struct assembly *a, const struct probe_places *places)
{
	static const uint8_t save[] = { 0x57, 0x56, 0x51, 0x41, 0x50, 0x41,
					0x51, 0x41, 0x52, 0x41, 0x53 };
	static const uint8_t restore[] = { 0x41, 0x5b, 0x41, 0x5a, 0x41, 0x59,
					   0x41, 0x58, 0x59, 0x5e, 0x5f };

	PUT(a, 0x0f, 0xbe, 0x44, 0x24, STACK_DOOR); /* movsx eax, byte [rsp + n] */
	PUT(a, 0x85, 0xc0, 0x78, 0);                /* test eax, eax; js no_text */
	size_t no_text = a->n;
	put(a, save, sizeof(save)); /* push rdi rsi rcx r8 r9 r10 r11; rdx is in the record */
	PUT(a, 0x48, 0x8b, 0x74, 0xc3, RECORD_ARGUMENTS); /* mov rsi, [rbx + rax * 8 + n] */
	PUT(a, 0x8b, 0x4b, RECORD_CPU);                   /* mov ecx, [rbx + n] */
	PUT(a, 0x48, 0xb8);                               /* mov rax, busy */
	put_le(a, places->ring + PROBE_BUSY_AT, 8);
	PUT(a, 0x48, 0x01, 0xc8);       /* add rax, rcx */
	PUT(a, 0x80, 0x38, 0, 0x75, 0); /* cmp byte [rax], 0; jne busy */
	size_t busy = a->n;
	PUT(a, 0xfe, 0x00, 0x50);              /* inc byte [rax]; push rax */
	PUT(a, 0x48, 0x8d, 0x7b, RECORD_TEXT); /* lea rdi, [rbx + n] */
	PUT(a, 0xba);                          /* mov edx, PROBE_TEXT_MAX */
	put_le(a, PROBE_TEXT_MAX, 4);
	PUT(a, 0xe8); /* call copy_text */
	put_le(a, places->copy_text - (places->code + a->n + 4), 4);
	PUT(a, 0x89, 0x43, RECORD_TEXT_LEN, 0x59, 0xfe,
	    0x09); /* mov [rbx + n], eax; pop rcx; dec byte [rcx] */
	land(a, busy);
	put(a, restore, sizeof(restore));
	PUT(a, 0x48, 0x8b, 0x53, RECORD_ARGUMENTS + 16); /* mov rdx, [rbx + n] */
	land(a, no_text);
}

static void go_back(struct assembly *a)
{
	PUT(a, 0x58, 0xff, 0xc0, 0x89, 0x43, RECORD_NUMBER); /* pop rax; inc eax; mov [rbx], eax */
	PUT(a, 0x5b, 0x58, 0x9d);                            /* pop rbx; pop rax; popfq */
	PUT(a, 0x48, 0x8d, 0x64, 0x24, 0x08, 0xc3);          /* lea rsp, [rsp + 8]; ret */
}

static size_t make_code(const struct probe_places *places, uint8_t code[PROBE_CODE_MAX],
			uint8_t doors[PROBE_DOORS])
{
	struct assembly a = { .code = code };

	make_doors(&a, doors);
	take_record(&a, places->ring);
	note_arguments(&a);
	note_rest(&a, places);
	if (places->copy_text)
		copy_text(&a, places);
	go_back(&a);
	return a.n;
}

static int find_room(const uint8_t *bytes, size_t len)
{
	static const uint8_t nop[CALL_LEN] = { 0x0f, 0x1f, 0x44, 0x00, 0x00 };
	static const uint8_t endbr[] = { 0xf3, 0x0f, 0x1e, 0xfa };
	size_t at = len >= sizeof(endbr) && memcmp(bytes, endbr, sizeof(endbr)) == 0 ? sizeof(endbr)
										     : 0;

	return at + sizeof(nop) <= len && memcmp(bytes + at, nop, sizeof(nop)) == 0 ? (int)at : -1;
}

static bool make_call(uint64_t addr, uint64_t code, uint8_t ret[PROBE_CALL_MAX])
{
	int64_t distance = (int64_t)(code - (addr + CALL_LEN));
	struct assembly a = { .code = ret };

	if (distance != (int32_t)distance)
		return false;
	PUT(&a, 0xe8);
	put_le(&a, (uint64_t)distance, 4);
	return true;
}

const struct probe_arch probe_x86_64 = {
	.arch = SONDE_ARCH_X86_64,
	.call_len = CALL_LEN,
	.general = { 5, 4, 3, 2, 8, 9 }, /* rdi rsi rdx rcx r8 r9 */
	.code = make_code,
	.room = find_room,
	.call = make_call,
};
