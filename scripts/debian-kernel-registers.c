/* Lets user-mode Linux of Debian 12 run on processors whose extended state is larger than it knows.
 *
 * It saves and restores the registers of its processes by ptrace(2), in a buffer that ends before
 * the state of Intel's matrix extension (AMX). The host takes a whole state only, so nothing starts.
 * This library, which is loaded before libc, gives the host the whole state: what its kernel
 * knows, and the rest as it starts out, since no program there can ask for AMX.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <elf.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/uio.h>

#define LARGEST_STATE (64 * 1024)
#define COMPONENTS_AT 512 /* which parts of the state are there, one bit each */
#define AMX_COMPONENTS (3ull << 17)

static char state[LARGEST_STATE];

static long real_ptrace(enum __ptrace_request request, pid_t process, void *address, void *data)
{
	static long (*real)(enum __ptrace_request, ...);

	if (!real)
		real = (long (*)(enum __ptrace_request, ...))dlsym(RTLD_NEXT, "ptrace");
	return real(request, process, address, data);
}

static long read_state(pid_t process, struct iovec *wanted)
{
	struct iovec whole = { .iov_base = state, .iov_len = sizeof(state) };
	long result = real_ptrace(PTRACE_GETREGSET, process, (void *)NT_X86_XSTATE, &whole);

	if (result < 0)
		return result;
	if (wanted->iov_len > whole.iov_len)
		wanted->iov_len = whole.iov_len;
	memcpy(wanted->iov_base, state, wanted->iov_len);
	return result;
}

static long write_state(pid_t process, struct iovec *given)
{
	struct iovec whole = { .iov_base = state, .iov_len = sizeof(state) };
	long result = real_ptrace(PTRACE_GETREGSET, process, (void *)NT_X86_XSTATE, &whole);
	uint64_t components;

	if (result < 0)
		return result;
	if (given->iov_len < whole.iov_len) {
		memcpy(state, given->iov_base, given->iov_len);
		memcpy(&components, state + COMPONENTS_AT, sizeof(components));
		components &= ~AMX_COMPONENTS;
		memcpy(state + COMPONENTS_AT, &components, sizeof(components));
		given = &whole;
	}
	return real_ptrace(PTRACE_SETREGSET, process, (void *)NT_X86_XSTATE, given);
}

long ptrace(enum __ptrace_request request, ...)
{
	va_list arguments;
	pid_t process;
	void *address, *data;

	va_start(arguments, request);
	process = va_arg(arguments, pid_t);
	address = va_arg(arguments, void *);
	data = va_arg(arguments, void *);
	va_end(arguments);
	if (address == (void *)NT_X86_XSTATE && request == PTRACE_GETREGSET)
		return read_state(process, data);
	if (address == (void *)NT_X86_XSTATE && request == PTRACE_SETREGSET)
		return write_state(process, data);
	return real_ptrace(request, process, address, data);
}
