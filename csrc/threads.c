/* A small pool of worker threads, one for the process.
 *
 * Why not OpenMP: GNU's hangs in a forked child and its idle workers spin. Here no thread exists until a team needs
 * one; an idle worker sleeps on a condition variable; a forked child starts with an empty pool. One team runs at a
 * time: a second caller finds the pool taken and works alone, which changes no result (see docs/architecture.md, "same
 * bits").
 */
#define _GNU_SOURCE
#include "engine.h"

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#if defined(__x86_64__)
#include <immintrin.h>
#define cpu_relax() _mm_pause()
#elif defined(__aarch64__)
#define cpu_relax() __asm__ volatile("yield")
#else
#define cpu_relax() ((void)0)
#endif

enum {
    MAX_THREADS = 256,
    /* A barrier between two instructions is usually microseconds away, so a waiting thread first looks again and again
     * (20-50 us in all), and then gives its processor away, for somebody else may need it to get there. */
    SPINS = 1000,
};

static struct {
    pthread_mutex_t lock; /* guards everything up to `busy` */
    pthread_cond_t wake, done;
    int workers;    /* threads started */
    uint64_t round; /* counts teams; a worker runs each round once */
    int team;       /* size of this round's team */
    int left;       /* workers that have not finished this round */
    fnn_team_function fn;
    void *arg;
    atomic_int at[MAX_THREADS]; /* on which processor a thread of this round has begun; -1: not yet */
    atomic_int busy;            /* a team is running */
    atomic_int limit;           /* fnn_set_threads; 0: not set */
    atomic_int arrived;         /* barrier: threads that have come ... */
    atomic_uint phase;          /* ... and how often it has opened */
} pool = {.lock = PTHREAD_MUTEX_INITIALIZER, .wake = PTHREAD_COND_INITIALIZER, .done = PTHREAD_COND_INITIALIZER};

/* In the child of a fork only the forking thread lives: forget the workers, they are started again when needed. */
static void after_fork_in_child(void) {
    int limit = atomic_load(&pool.limit);
    memset(&pool, 0, sizeof pool);
    pthread_mutex_init(&pool.lock, NULL);
    pthread_cond_init(&pool.wake, NULL);
    pthread_cond_init(&pool.done, NULL);
    atomic_store(&pool.limit, limit);
}

static pthread_once_t fork_handler_once = PTHREAD_ONCE_INIT;
static void install_fork_handler(void) { pthread_atfork(NULL, NULL, after_fork_in_child); }

/* A scheduler that sees no common cache wakes a worker where it last ran, be it beside the thread that it is to help;
 * there the two take turns while another processor idles, and stay for as long as their rounds are short. So a worker
 * that finds itself beside another one asks to be moved to where none of its team is. For once: its affinity is then
 * what it was, and the scheduler may think otherwise. */
static void keep_apart(int thread, int team) {
#if defined(__linux__)
    int here = sched_getcpu(), crowded = 0;
    if (here < 0) return;
    for (int t = 0; t < team; t++) crowded |= t != thread && atomic_load(&pool.at[t]) == here;
    atomic_store(&pool.at[thread], here);
    cpu_set_t allowed, free;
    if (!crowded || sched_getaffinity(0, sizeof allowed, &allowed) != 0) return;
    free = allowed;
    for (int t = 0; t < team; t++) {
        int taken = atomic_load(&pool.at[t]);
        if (taken >= 0) CPU_CLR(taken, &free);
    }
    if (CPU_COUNT(&free) == 0 || sched_setaffinity(0, sizeof free, &free) != 0) return;
    atomic_store(&pool.at[thread], sched_getcpu());
    sched_setaffinity(0, sizeof allowed, &allowed);
#else
    (void)thread, (void)team;
#endif
}

static void *worker(void *argument) {
    int thread = (int)(intptr_t)argument;
    uint64_t seen = 0;
    pthread_mutex_lock(&pool.lock);
    for (;;) {
        while (pool.round == seen || thread >= pool.team) {
            seen = pool.round;
            pthread_cond_wait(&pool.wake, &pool.lock);
        }
        seen = pool.round;
        fnn_team_function fn = pool.fn;
        void *arg = pool.arg;
        int team = pool.team;
        pthread_mutex_unlock(&pool.lock);
        keep_apart(thread, team);
        fn(arg, thread, team);
        pthread_mutex_lock(&pool.lock);
        if (--pool.left == 0) pthread_cond_signal(&pool.done);
    }
    return NULL;
}

/* Starts workers until there are `wanted`; called with the lock held. Returns how many there are. */
static int start_workers(int wanted) {
    pthread_attr_t attributes;
    pthread_attr_init(&attributes);
    pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
    while (pool.workers < wanted) {
        pthread_t id;
        if (pthread_create(&id, &attributes, worker, (void *)(intptr_t)(pool.workers + 1)) != 0) break;
        pool.workers++;
    }
    pthread_attr_destroy(&attributes);
    return pool.workers;
}

int fnn_team_run(int threads, fnn_team_function fn, void *arg) {
    if (threads > MAX_THREADS) threads = MAX_THREADS;
    int idle = 0;
    if (threads <= 1 || !atomic_compare_exchange_strong(&pool.busy, &idle, 1)) {
        fn(arg, 0, 1);
        return 1;
    }
    pthread_once(&fork_handler_once, install_fork_handler);
    pthread_mutex_lock(&pool.lock);
    int team = 1 + start_workers(threads - 1);
    if (team > threads) team = threads;
    pool.team = team;
    pool.left = team - 1;
    pool.fn = fn;
    pool.arg = arg;
    pool.round++;
    for (int t = 1; t < team; t++) atomic_store(&pool.at[t], -1);
    keep_apart(0, 1);
    atomic_store(&pool.arrived, 0);
    if (team > 1) pthread_cond_broadcast(&pool.wake);
    pthread_mutex_unlock(&pool.lock);

    fn(arg, 0, team);

    pthread_mutex_lock(&pool.lock);
    while (pool.left > 0) pthread_cond_wait(&pool.done, &pool.lock);
    pool.team = 0;
    pthread_mutex_unlock(&pool.lock);
    atomic_store(&pool.busy, 0);
    return team;
}

void fnn_team_barrier(int threads) {
    if (threads <= 1) return;
    unsigned phase = atomic_load_explicit(&pool.phase, memory_order_acquire);
    if (atomic_fetch_add_explicit(&pool.arrived, 1, memory_order_acq_rel) == threads - 1) {
        atomic_store_explicit(&pool.arrived, 0, memory_order_relaxed);
        atomic_fetch_add_explicit(&pool.phase, 1, memory_order_acq_rel);
        return;
    }
    for (int spin = 0; atomic_load_explicit(&pool.phase, memory_order_acquire) == phase; spin++) {
        if (spin < SPINS) cpu_relax();
        else sched_yield();
    }
}

/* ---- how many processors may this process use? ------------------------------------------------------------------- */

/* A container's quota of processor time, in whole processors; 0 when there is none. */
static int cgroup_quota(void) {
    long long quota = -1, period = 0;
    FILE *file = fopen("/sys/fs/cgroup/cpu.max", "r"); /* cgroup v2: "max 100000" or "200000 100000" */
    if (file) {
        if (fscanf(file, "%lld %lld", &quota, &period) != 2) quota = -1;
        fclose(file);
    } else if ((file = fopen("/sys/fs/cgroup/cpu/cpu.cfs_quota_us", "r"))) {
        if (fscanf(file, "%lld", &quota) != 1) quota = -1;
        fclose(file);
        if ((file = fopen("/sys/fs/cgroup/cpu/cpu.cfs_period_us", "r"))) {
            if (fscanf(file, "%lld", &period) != 1) period = 0;
            fclose(file);
        }
    }
    if (quota <= 0 || period <= 0) return 0;
    return (int)((quota + period - 1) / period);
}

int fnn_cpu_count(void) {
    int count = 0;
#if defined(__linux__)
    cpu_set_t set;
    if (sched_getaffinity(0, sizeof set, &set) == 0) count = CPU_COUNT(&set);
#endif
    if (count <= 0) count = (int)sysconf(_SC_NPROCESSORS_ONLN);
    int quota = cgroup_quota();
    if (quota > 0 && quota < count) count = quota;
    return count < 1 ? 1 : count > MAX_THREADS ? MAX_THREADS : count;
}

void fnn_set_threads(int threads) {
    atomic_store(&pool.limit, threads < 1 ? 1 : threads > MAX_THREADS ? MAX_THREADS : threads);
}

int fnn_get_threads(void) {
    int limit = atomic_load(&pool.limit);
    if (limit > 0) return limit;
    const char *text = getenv("OMP_NUM_THREADS"); /* may be a list: the first number counts */
    int wanted = text ? atoi(text) : 0;
    int available = fnn_cpu_count();
    limit = wanted > 0 && wanted < available ? wanted : available;
    fnn_set_threads(limit);
    return limit;
}
