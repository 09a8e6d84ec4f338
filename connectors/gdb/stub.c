/* SPDX-License-Identifier: MIT */
/*
 * Source: "Debugging with GDB" (13), appendix E; qemu 7.2 gdbstub.c for packets named qqemu. An empty answer to a
 * packet means that the stub does not know it.
 */
#include "stub.h"

#include "registers.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* What gdb sends; "xmlRegisters" has gdbserver describe x86's. */
#define HELLO "qSupported:xmlRegisters=i386,arm,mips;multiprocess-;swbreak-;hwbreak-"

enum { PARTS_MAX = 4096 }; /* answers that make one object */

static int ask(struct stub *stub, const char *text, struct sonde_error *err)
{
	return link_call(stub->link, text, &stub->reply, err);
}

static int says(const struct stub *stub, const char *text)
{
	return strcmp((const char *)stub->reply.data, text) == 0;
}

int stub_order(struct stub *stub, const char *text, struct sonde_error *err)
{
	int r = ask(stub, text, err);

	if (r < 0 || says(stub, "OK"))
		return r;
	return stub->host->error_set(err, SONDE_E_UNSUPPORTED, "gdb: '%s': it does not know '%s'",
				     stub->link->where, text);
}

/* ---- objects and files -------------------------------------------------------------------------- */

/*
 * The next part of an object: "m" and bytes, "l" and the last ones. Returns 1 more to come, 0 it was the last, < 0 why not.
 */
static int next_part(struct stub *stub, const char *object, const char *annex, struct reply *whole,
		     struct sonde_error *err)
{
	char text[256];

	snprintf(text, sizeof(text), "qXfer:%s:read:%s:%zx,%x", object, annex, whole->len,
		 stub->link->packet_size / 2);
	int r = ask(stub, text, err);
	if (r < 0)
		return r;
	const uint8_t *data = stub->reply.data;
	size_t len = stub->reply.len;
	if (len == 0 || data[0] == 'E')
		return stub->host->error_set(err, SONDE_E_UNSUPPORTED,
					     "gdb: '%s': it does not tell '%s'", stub->link->where,
					     object);
	if ((data[0] != 'm' && data[0] != 'l') || (data[0] == 'm' && len == 1))
		return stub->host->error_set(err, SONDE_E_BAD_FORMAT,
					     "gdb: '%s': its answer to '%s' is none",
					     stub->link->where, text);
	r = reply_add(whole, data + 1, len - 1);
	return r < 0 ? stub->host->error_set(err, r, NULL) : data[0] == 'm';
}

int stub_object(struct stub *stub, const char *object, const char *annex, struct sonde_error *err)
{
	struct reply whole = { 0 };
	int r = 1;

	for (int i = 0; r == 1; i++)
		r = i < PARTS_MAX ? next_part(stub, object, annex, &whole, err)
				  : stub->host->error_set(err, SONDE_E_LIMIT, NULL);
	reply_finish(&stub->reply);
	stub->reply = whole;
	return r;
}

/* "F" and a number in hex: the result of a file operation. Returns it; < 0: it failed, or is no such answer. */
static int64_t file_result(const struct stub *stub, size_t *ret_head)
{
	const uint8_t *at = stub->reply.data + 1, *end = stub->reply.data + stub->reply.len;
	uint64_t value;

	if (stub->reply.len < 2 || stub->reply.data[0] != 'F' || hex_number(&at, end, &value) < 0 ||
	    value > INT32_MAX)
		return -1;
	*ret_head = (size_t)(at - stub->reply.data);
	return (int64_t)value;
}

/* The bytes behind whole->len: "F", how many, ";", the bytes. Returns how many; < 0 why not. */
static int read_more(struct stub *stub, int64_t fd, struct reply *whole, struct sonde_error *err)
{
	char text[96];
	size_t head = 0;

	snprintf(text, sizeof(text), "vFile:pread:%llx,%x,%zx", (unsigned long long)fd,
		 stub->link->packet_size / 2, whole->len);
	int r = ask(stub, text, err);
	if (r < 0)
		return r;
	int64_t n = file_result(stub, &head);
	if (n < 0 || stub->reply.len - head < 1 || stub->reply.data[head] != ';' ||
	    (size_t)n != stub->reply.len - head - 1)
		return stub->host->error_set(err, SONDE_E_BAD_FORMAT,
					     "gdb: '%s': a file cannot be read", stub->link->where);
	r = reply_add(whole, stub->reply.data + head + 1, (size_t)n);
	return r < 0 ? stub->host->error_set(err, r, NULL) : (int)n;
}

int stub_file(struct stub *stub, const char *path, struct sonde_error *err)
{
	struct reply whole = { 0 };
	char text[200] = "vFile:open:";
	size_t head, len = strlen(path);

	if (len > 64)
		return stub->host->error_set(err, SONDE_E_BAD_ARG, NULL);
	hex_write((uint8_t *)text + strlen(text), (const uint8_t *)path, len);
	strcat(text, ",0,0"); /* O_RDONLY */
	int r = ask(stub, text, err);
	int64_t fd = r < 0 ? -1 : file_result(stub, &head);
	if (r == 0 && fd < 0)
		r = stub->host->error_set(err, SONDE_E_UNSUPPORTED,
					  "gdb: '%s': it does not let '%s' be read",
					  stub->link->where, path);
	if (r < 0)
		return r;
	for (r = 1; r > 0;)
		r = read_more(stub, fd, &whole, err);
	snprintf(text, sizeof(text), "vFile:close:%llx", (unsigned long long)fd);
	ask(stub, text, NULL);
	reply_finish(&stub->reply);
	stub->reply = whole;
	return r;
}

/* ---- hello ---------------------------------------------------------------------------------------- */

/* Is NAME+ among what is supported? */
static int has(const struct stub *stub, const char *name)
{
	size_t len = strlen(name);

	for (const char *at = (const char *)stub->reply.data; at; at = strchr(at, ';')) {
		at += *at == ';';
		if (strncmp(at, name, len) == 0 && at[len] == '+')
			return 1;
	}
	return 0;
}

static uint32_t packet_size_of(const struct stub *stub)
{
	const char *at = strstr((const char *)stub->reply.data, "PacketSize=");
	uint64_t size = at ? strtoull(at + 11, NULL, 16) : 0;

	if (size < 128) /* not told, or not believed */
		return stub->link->packet_size;
	return size < LINK_PACKET_MAX ? (uint32_t)size : LINK_PACKET_MAX;
}

static int say_hello(struct stub *stub, struct sonde_error *err)
{
	int r = ask(stub, HELLO, err);

	if (r == SONDE_E_TIMED_OUT)
		return stub->host->error_set(err, r,
					     "gdb: '%s': no answer: a stub serves one debugger at "
					     "a time, and kgdb only a "
					     "kernel that has stopped",
					     stub->link->where);
	if (r < 0)
		return r;
	stub->has_features = has(stub, "qXfer:features:read");
	stub->has_memory_map = has(stub, "qXfer:memory-map:read");
	stub->binary_read = has(stub, "binary-upload");
	stub->process = has(stub, "qXfer:auxv:read");
	return 0;
}

static int know(struct stub *stub, struct sonde_error *err)
{
	int no_acks = has(stub, "QStartNoAckMode");
	uint32_t packet_size = packet_size_of(stub);
	int r = no_acks ? stub_order(stub, "QStartNoAckMode", err) : 0;

	if (r < 0)
		return r;
	link_allow(stub->link, packet_size, !no_acks, no_acks ? stub->depth : 1);
	r = ask(stub, "?", err); /* gdbserver speaks of no thread before it is asked this */
	if (r == 0)
		r = ask(stub, "qqemu.PhyMemMode", err);
	if (r < 0)
		return r;
	stub->qemu = says(stub, "0") || says(stub, "1");
	r = ask(stub, "X0,0:", err);
	stub->binary_write = r == 0 && says(stub, "OK");

	/* QEMU never waits for an acknowledgement; one that comes while the machine runs would stop it. */
	if (stub->qemu)
		link_allow(stub->link, packet_size, 0, stub->depth);
	return r;
}

static int add_threads(struct stub *stub)
{
	const uint8_t *at = stub->reply.data + 1, *end = stub->reply.data + stub->reply.len;
	uint64_t id;

	while (stub->n_threads < STUB_THREADS && thread_number(&at, end, &id) == 0) {
		stub->threads[stub->n_threads++] = id;
		if (at == end || *at++ != ',')
			break;
	}
	return stub->n_threads < STUB_THREADS;
}

/* A stub without threads has one all the same, which is the one it speaks of. */
static int list_threads(struct stub *stub, struct sonde_error *err)
{
	int r = ask(stub, "qfThreadInfo", err);

	for (int i = 0; i < STUB_THREADS && r == 0 && stub->reply.data[0] == 'm'; i++)
		r = add_threads(stub) ? ask(stub, "qsThreadInfo", err) : 1;
	if (stub->n_threads == 0)
		stub->threads[stub->n_threads++] = 0;
	return r < 0 ? r : 0;
}

/* One that is broken is as good as none: there are no registers then, and the rest goes on. */
static int describe(struct stub *stub, struct sonde_error *err)
{
	struct description *description = calloc(1, sizeof(*description));
	int r = SONDE_E_UNSUPPORTED;

	if (!description)
		return stub->host->error_set(err, SONDE_E_NO_MEMORY, NULL);
	strcpy(description->files[0], "target.xml");
	description->n_files = 1;
	for (uint32_t i = 0; stub->has_features && i < description->n_files && !stub->link->err;
	     i++) {
		r = stub_object(stub, "features", description->files[i], err);
		if (r == 0)
			r = description_read(description, stub->reply.data, stub->reply.len);
		if (r < 0)
			break;
	}
	if (r == 0)
		r = description_layout(description);
	if (r == 0)
		stub->description = description;
	else
		free(description);
	if (r == SONDE_E_NO_MEMORY)
		return stub->host->error_set(err, r, NULL);
	return stub->link->err;
}

int stub_meet(struct stub *stub, struct sonde_error *err)
{
	int r = say_hello(stub, err);

	if (r == 0)
		r = know(stub, err);
	if (r == 0)
		r = list_threads(stub, err);
	return r == 0 ? describe(stub, err) : r;
}

void stub_finish(struct stub *stub)
{
	free(stub->description);
	reply_finish(&stub->reply);
}

/* ---- registers -------------------------------------------------------------------------------------- */

/* Of the thread that "Hg" chose. What is refused is one register less. */
static int ask_register(void *user, const struct description_register *reg, uint64_t *ret)
{
	struct reply answer = { 0 };
	struct stub *stub = user;
	char text[16];

	snprintf(text, sizeof(text), "p%x", reg->number);
	int r = link_call(stub->link, text, &answer, NULL);
	if (r == 0)
		r = registers_parse_one(reg, answer.data, answer.len, ret);
	reply_finish(&answer);
	return r;
}

int stub_registers(struct stub *stub, uint32_t index, struct full_cpu *ret, struct sonde_error *err)
{
	char text[32];

	if (!stub->description)
		return SONDE_E_UNSUPPORTED;
	if (index >= stub->n_threads)
		return SONDE_E_NOT_FOUND;
	snprintf(text, sizeof(text), "Hg%llx", (unsigned long long)stub->threads[index]);
	int r = stub_order(stub, text, err);
	if (r == 0)
		r = ask(stub, "g", err);
	if (r == 0 && !registers_take(stub->description, stub->reply.data, stub->reply.len,
				      ask_register, stub, ret))
		r = SONDE_E_UNSUPPORTED;
	return r;
}
