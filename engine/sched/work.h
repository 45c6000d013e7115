/* How long work takes on so many cores: Amdahl's law. */
#ifndef ENGINE_SCHED_WORK_H
#define ENGINE_SCHED_WORK_H

struct work {
    double serial;   /* seconds that no second core shortens */
    double parallel; /* core-seconds that all cores share */
};
static inline double work_seconds(const struct work *w, int cores)
{
    return w->serial + w->parallel / cores;
}
#endif
