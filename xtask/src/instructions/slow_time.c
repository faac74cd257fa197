/*
 * Under valgrind, which makes the processor many times slower, this makes time pass slower, too: else
 * a program that looks at the clock takes other ways than it does by itself, and how often it takes
 * them depends on what else the machine does. Loaded by LD_PRELOAD.
 *
 * How long to wait for a port or until when for a futex, as the program asks the system, is by the slow
 * clock, too: the kernel would find each point in time long past, and who waits for it turn in a circle.
 *
 * It also waits with epoll_pwait(2) where epoll_pwait2(2) is asked for, which valgrind does not know.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <linux/futex.h>
#include <stdarg.h>
#include <sys/syscall.h>
#include <time.h>

/* More than valgrind's own factor by as much as other programs may take away. */
#define SLOWER 200

#ifndef SYS_epoll_pwait2
#define SYS_epoll_pwait2 441
#endif

static int (*real_clock_gettime)(clockid_t, struct timespec *);
static long (*real_syscall)(long, ...);

__attribute__((constructor)) static void find(void) {
    real_clock_gettime = (int (*)(clockid_t, struct timespec *))dlsym(RTLD_NEXT, "clock_gettime");
    real_syscall = (long (*)(long, ...))dlsym(RTLD_NEXT, "syscall");
}

int clock_gettime(clockid_t clock, struct timespec *now) {
    int result = real_clock_gettime(clock, now);
    unsigned long long nanoseconds = (now->tv_sec * 1000000000ULL + now->tv_nsec) / SLOWER;
    now->tv_sec = nanoseconds / 1000000000;
    now->tv_nsec = nanoseconds % 1000000000;
    return result;
}

static struct timespec slower(const struct timespec *time) {
    unsigned long long nanoseconds = time->tv_nsec * SLOWER;
    return (struct timespec){
        .tv_sec = time->tv_sec * SLOWER + nanoseconds / 1000000000,
        .tv_nsec = nanoseconds % 1000000000,
    };
}

long syscall(long number, ...) {
    long argument[6];
    va_list list;
    va_start(list, number);
    for (int i = 0; i < 6; i++) argument[i] = va_arg(list, long);
    va_end(list);

    struct timespec until;
    if (number == SYS_epoll_pwait2) {
        const struct timespec *timeout = (const struct timespec *)argument[3];
        number = SYS_epoll_pwait;
        /* Rounded up, to milliseconds. */
        argument[3] = timeout->tv_sec * 1000 * SLOWER
            + ((long long)timeout->tv_nsec * SLOWER + 999999) / 1000000;
    } else if (number == SYS_epoll_pwait && (int)argument[3] > 0) {
        argument[3] *= SLOWER;
    } else if (number == SYS_futex && argument[3] != 0
               && ((int)argument[1] & FUTEX_CMD_MASK) == FUTEX_WAIT_BITSET) {
        until = slower((const struct timespec *)argument[3]);
        argument[3] = (long)&until;
    }
    return real_syscall(number, argument[0], argument[1], argument[2], argument[3], argument[4],
                        argument[5]);
}
