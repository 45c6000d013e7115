/* The processes of this machine, as /proc shows them; and the end of those that were left below this one. */
#ifndef BASE_PROCS_H
#define BASE_PROCS_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct proc {
    pid_t pid, parent;
    char state;     /* 'Z', a zombie, is gone */
    int64_t rss;    /* bytes */
    uint64_t start; /* in ticks since the machine's: with the pid it names a process for good */
};
/* All of them, malloc'd; how many. Those that ended meanwhile are left out. */
size_t procs_read(struct proc **ret);
/* The same of `root` and of what runs below it, root first. Where the kernel tells children (told), the cost
 * is that of these alone, however many others the machine has. */
size_t procs_below(pid_t root, bool told, struct proc **ret);
bool procs_are_told(void);
/* When process pid began; 0: there is none. */
uint64_t procs_start(pid_t pid);
/* Bytes that it holds in memory, its share of those that others hold too; 0: not to be known. Dear. */
int64_t procs_share(pid_t pid);

/* From now on whoever loses his parent below this process becomes its child, whatever he did to get away: a
 * session of his own, a double fork. */
void procs_adopt(void);
/* Kill and reap all children of this process but those to spare, and whoever comes to it by that, until none
 * is left. At once when there are no children at all. */
void procs_end_children(const pid_t *spare, size_t n);
#endif
