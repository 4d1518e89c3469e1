/* SPDX-License-Identifier: Apache-2.0
 *
 * Giving up everything but the input, the output and memory, before a byte of untrusted input is looked at.
 */
#ifndef OX_MEDIA_HELPER_JAIL_H
#define OX_MEDIA_HELPER_JAIL_H

#include <stdint.h>

#include "base/status.h"

/* From here on the process can: read and seek descriptor 0, write descriptor 1 (with sanitizers 2 too), take private
 * memory that is not executable, max_bytes of it, compute for timeout_s seconds, ask for the time,
 * random numbers and how much memory there is, and end. Opening a file fails. Any other system call ends it with SIGSYS;
 * it has no other descriptor, no capability, and ends with its parent. One thread.
 * OX_E_DEVICE if the kernel or the processor has no such jail; the process may then not go on. */
enum ox_status ox_jail_enter(uint64_t max_bytes, uint64_t timeout_s, struct ox_error *err) OX_MUST_USE;

/* End the process from inside, and nothing else: neither destructors of libraries nor a sanitizer's search for leaks,
 * which want what is no longer there. */
_Noreturn void ox_jail_exit(int status);

#endif
