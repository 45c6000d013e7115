/* Launchers, with Slurm's commands played by shell scripts: which nodes there are, how a worker starts on
 * one, what is asked of Slurm, and what becomes of it. A script finds its answer in a file beside it and
 * notes how it was called. */
#include "base/buf.h"
#include "base/cleanup.h"
#include "base/fs.h"
#include "base/mem.h"
#include "engine/exec/slurm_impl.h"
#include "engine/exec/words.h"
#include "tests/test.h"
#include <poll.h>
#include <string.h>
#include <sys/wait.h>

static char dir[] = "/tmp/weft-launcher-XXXXXX";
static const char *weft;
static struct buf said;

static void say(void *arg, const char *text)
{
    buf_printf(&said, "%s\n", text);
}

static char *at(const char *name)
{
    return xprintf("%s/%s", dir, name);
}

static void put(const char *name, const char *text)
{
    AUTO(mem) char *path = at(name);
    struct error err = {0};
    fs->unlink(path);
    if (!fs_write_file(path, text, strlen(text), &err) || chmod(path, 0755) != 0)
        fail_msg("%s", err.text);
}

/* The answer of one of Slurm's commands from now on: on stdout, or, with an exit status, on stderr. */
static void answer(const char *command, int status, const char *text)
{
    AUTO(mem)
    char *script =
        xprintf("#!/bin/sh\necho \"%s $*\" >>%s/calls\nenv >%s/env.%s\n[ %s != sbatch ] || cat >%s/script\n"
                "cat %s/%s.answer%s; exit %d\n",
                command, dir, dir, command, command, dir, dir, command, status ? " >&2" : "", status);
    AUTO(mem) char *name = xprintf("%s.answer", command);
    put(name, text);
    put(command, script);
}

/* How they were called since the last time. */
static char *calls(void)
{
    AUTO(mem) char *path = at("calls");
    char *text = NULL;
    if (!fs_read_file(path, &text, NULL, NULL))
        return xstrdup("");
    fs->unlink(path);
    return text;
}

static void called(const char *part)
{
    AUTO(mem) char *text = calls();
    if (!strstr(text, part))
        fail_msg("'%s' was not called, but:\n%s", part, text);
}

static const struct launcher_need small = {
    .cores = 6, .widest = 2, .widest_task = "w", .memory = 100 * MIB, .memory_task = "m"};

static struct launcher *begin(const char *launcher, const char *nodes, const char *wish,
                              const struct launcher_need *need)
{
    struct launcher *l = NULL;
    struct error err = {0};
    buf_clear(&said);
    if (!launcher_open(&(struct launcher_options){launcher, nodes, wish, false}, need, weft, say, NULL, &l,
                       &err))
        fail_msg("%s", err.text);
    l->dir = dir;
    return l;
}

static void refuses(const char *launcher, const char *nodes, const char *wish,
                    const struct launcher_need *need, enum error_code code, const char *says)
{
    struct launcher *l = NULL;
    struct error err = {0};
    if (launcher_open(&(struct launcher_options){launcher, nodes, wish, false}, need, weft, say, NULL, &l,
                      &err))
        fail_msg("'%s' is not refused", launcher);
    if (!strstr(err.text, says) || err.code != code)
        fail_msg("'%s' (%d) does not say '%s'", err.text, (int)err.code, says);
}

/* The command of a step, in one line. */
static char *step(struct launcher *l, const struct launcher_step *s, const char *const **ret_env,
                  struct arena *a)
{
    const char *const *argv;
    launcher_argv(l, s, a, &argv, ret_env);
    return words_quote(argv, a);
}

static const char *const inside[][2] = {{"SLURM_JOB_ID", "17"},
                                        {"SLURM_JOB_NODELIST", "n[1-3]"},
                                        {"SLURM_JOB_CPUS_PER_NODE", "8(x2),4"},
                                        {"SLURM_MEM_PER_NODE", "2000"}};

static void enter(void)
{
    for (size_t i = 0; i < sizeof inside / sizeof *inside; i++)
        setenv(inside[i][0], inside[i][1], 1);
}

static void leave(void)
{
    for (size_t i = 0; i < sizeof inside / sizeof *inside; i++)
        unsetenv(inside[i][0]);
}

static void inside_an_allocation(void **state)
{
    AUTO(arena) struct arena a;
    const char *const *env;
    arena_init(&a);
    enter();
    /* both of its questions have one answer here; two threads a core, of which Slurm counts each */
    answer("scontrol", 0,
           "NodeName=n1 Sockets=1 CoresPerSocket=4 CPUTot=8 RealMemory=9000 State=ALLOCATED\n\n\n");
    struct launcher *l = begin("slurm", NULL, NULL, &small);
    assert_int_equal(l->n, 3);
    assert_int_equal(l->node[0].cores, 4);
    assert_int_equal(l->node[2].cores, 2);
    assert_int_equal(l->node[0].memory, 2000 * MIB);
    assert_true(l->node[0].there && l->node[2].there);
    called("scontrol show hostnames n[1-3]");

    setenv("WEFT_TEST_SECRET", "x", 1);
    setenv("WEFT_TEST_TOKEN", "y", 1);
    l->node[1].name = "n2"; /* the answer above had but one name */
    struct launcher_step s = {.task = "t[a b]",
                              .node = 1,
                              .cores = 3,
                              .memory = 5 * MIB + 1,
                              .pass = (const char *const[]){"WEFT_TEST_TOKEN", "WEFT_TEST_NONE", NULL}};
    const char *line = step(l, &s, &env, &a);
    static const char *const parts[] = {
        " worker --near ",     " -- srun ", " --jobid=17 ",          " --nodelist=n2 ", " --exact ",
        " --cpus-per-task=6 ", " --mem=6 ", " '--job-name=t[a b]' ", " worker --far"};
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++)
        if (!strstr(line, parts[i]))
            fail_msg("no '%s' in '%s'", parts[i], line);
    const char *all = words_quote(env, &a);
    assert_non_null(strstr(all, "PATH="));
    assert_non_null(strstr(all, "WEFT_TEST_TOKEN=y"));
    assert_null(strstr(all, "SECRET"));
    assert_null(strstr(all, "SLURM_JOB_ID"));

    /* the node is silent, then it works again; then the job is gone, and all nodes with it */
    answer("squeue", 0, "17|RUNNING|n[1-3]|None\n");
    answer("scontrol", 0, "NodeName=n1 State=DOWN*\n");
    ((struct slurm *)l->own)->slot[0].pause = 0;
    l->row->lost(l, 0);
    assert_false(l->node[0].there);
    assert_true(l->node[1].there && l->hope);
    assert_string_equal(l->node[0].trouble,
                        "the connection to node NodeName=n1 Sockets=1 CoresPerSocket=4 CPUTot=8 "
                        "RealMemory=9000 State=ALLOCATED is lost");
    answer("scontrol", 0, "NodeName=n1 State=IDLE\n");
    l->row->look(l);
    assert_true(l->node[0].there);
    answer("squeue", 0, "17|CANCELLED|n[1-3]|None\n");
    for (int i = 0; i < 3; i++)
        l->row->lost(l, i);
    assert_false(l->node[0].there || l->node[1].there || l->node[2].there || l->hope);
    assert_string_equal(l->node[1].trouble, "Slurm job 17 was cancelled");
    launcher_close(l);
    AUTO(mem) char *text = calls();
    assert_null(strstr(text, "scancel")); /* it was never ours */

    refuses("slurm", NULL, "nodes=2", &small, ERROR_INPUT, "this is one already, Slurm job 17");
    setenv("SLURM_JOB_CPUS_PER_NODE", "8", 1);
    answer("scontrol", 0, "n1\nn2\n");
    refuses("slurm", NULL, NULL, &small, ERROR_INPUT, "'8', which says nothing of 2 nodes");
    leave();
}

static const char nodes[] = "n1|4|2|2|4000|idle|main*\nn2|4|2|2|4000|idle|main*\nn3|4|2|2|4000|down*|main*"
                            "\nbig|16|2|8|64000|idle|fat\n";

static void asks_for_allocations(void **state)
{
    answer("sinfo", 0, nodes);
    answer("sbatch", 0, "21;cluster\n");
    answer("squeue", 0, "21|PENDING||Resources\n");
    answer("scancel", 0, "");
    setenv("WEFT_TEST_SECRET", "x", 1);
    struct launcher *l = begin("slurm", NULL, "time=90m account=lab", &small);
    assert_int_equal(l->n, 2); /* six cores are of use, of four a node */
    assert_int_equal(l->node[0].cores, 4);
    assert_int_equal(l->node[0].memory, 4000 * MIB);
    assert_true(l->hope && !l->node[0].there);
    free(calls());

    l->row->want(l, 1, 60);
    AUTO(mem) char *first = calls();
    static const char *const parts[] = {"--parsable", "--export=NONE",      "--no-requeue",
                                        "--nodes=1 ", "--cpus-per-task=4 ", "--mem=4000M",
                                        "--time=12 ", "--account=lab"};
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++)
        if (!strstr(first, parts[i]))
            fail_msg("no '%s' in '%s'", parts[i], first);
    assert_null(strstr(first, "--partition"));
    AUTO(mem) char *path = at("env.sbatch");
    AUTO(mem) char *env = NULL;
    assert_true(fs_read_file(path, &env, NULL, NULL));
    assert_null(strstr(env, "SECRET"));

    launcher_look(l);
    launcher_look(l); /* not due: nothing is asked */
    AUTO(mem) char *looks = calls();
    assert_null(strstr(strstr(looks, "squeue") + 1, "squeue"));
    assert_true(launcher_due(l) > 0);
    answer("squeue", 0, "211|RUNNING|n9|None\n21|RUNNING|n1|None\n");
    l->row->look(l);
    assert_true(l->node[0].there);
    assert_string_equal(l->node[0].name, "n1");
    assert_int_equal(launcher_due(l), -1);
    assert_string_equal(buf_str(&said), "Slurm job 21 asks for a node: 4 cores, 12 min\n"
                                        "Slurm job 21 waits: Resources\nSlurm job 21 has node n1\n");

    /* another, while it is of use; it goes first, as it has nothing yet; a busy one never goes */
    answer("sbatch", 0, "22\n");
    answer("squeue", 0, "22|PENDING||Priority\n");
    l->node[0].busy = 1;
    l->row->want(l, 5, 0);
    called("--time=90 ");
    l->row->want(l, 1, 0);
    called("scancel --quiet 22");
    l->row->want(l, 0, 0);
    AUTO(mem) char *none = calls();
    assert_null(strstr(none, "scancel"));

    /* preempted: another one is asked for, as long as that bears fruit */
    answer("sbatch", 0, "23\n");
    for (int i = 0; i < 3; i++) {
        answer("squeue", 0, i ? "23|PREEMPTED|n1|None\n" : "21|PREEMPTED|n1|None\n");
        l->node[0].done += i == 0;
        l->row->lost(l, 0);
        assert_false(l->node[0].there);
        assert_non_null(strstr(l->node[0].trouble, "was preempted"));
        l->row->want(l, 1, 0);
        called("sbatch");
        answer("squeue", 0, "23|RUNNING|n1|None\n");
        l->row->look(l);
        assert_true(l->node[0].there);
    }
    answer("squeue", 0, "23|PREEMPTED|n1|None\n");
    l->row->lost(l, 0);
    assert_int_equal(((struct slurm *)l->own)->slot[0].state, SLURM_OVER);
    assert_true(l->hope); /* there is the other node */
    answer("sbatch", 0, "24\n");
    answer("squeue", 0, "24|PENDING|||\n");
    l->row->want(l, 1, 0);
    free(calls());
    launcher_close(l);
    called("scancel --quiet 24");
}

/* Ends that the user wanted, and those that the node is to blame for, are for good. */
static void ends_for_good(void **state)
{
    static const struct {
        const char *squeue, *scontrol, *says;
    } rows[] = {{"31|CANCELLED|n1|None\n", "", "Slurm job 31 was cancelled"},
                {"31|FAILED|n1|NonZeroExitCode\n", "JobId=31 ExitCode=3:0\n",
                 "the store has to lie where all nodes see it"},
                {"31|FAILED|n1|NonZeroExitCode\n", "JobId=31 ExitCode=4:0\n",
                 "weft has to lie where all nodes see it"},
                {"", "", "Slurm job 31 is gone"}};
    answer("sinfo", 0, nodes);
    answer("sbatch", 0, "31\n");
    answer("scancel", 0, "");
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct launcher *l = begin("slurm", NULL, "nodes=1", &small);
        answer("squeue", 0, rows[i].squeue);
        answer("scontrol", 0, rows[i].scontrol);
        l->row->want(l, 1, 0);
        l->row->look(l);
        assert_false(l->hope);
        if (!strstr(l->node[0].trouble, rows[i].says))
            fail_msg("'%s' does not say '%s'", l->node[0].trouble, rows[i].says);
        free(calls());
        launcher_close(l);
        AUTO(mem) char *text = calls();
        assert_null(strstr(text, "scancel"));
    }
    answer("sbatch", 1,
           "sbatch: error: QOSMaxSubmitJobPerUserLimit\nsbatch: error: Batch job submission failed: x\n");
    struct launcher *l = begin("slurm", NULL, NULL, &small);
    l->row->want(l, 2, 0);
    assert_false(l->hope);
    assert_non_null(strstr(l->node[0].trouble, "Slurm takes no job: "));
    assert_non_null(strstr(l->node[0].trouble, "QOSMaxSubmitJobPerUserLimit"));
    launcher_close(l);
}

static void sizes(void **state)
{
    struct launcher_need need = {.cores = 1, .widest = 5, .widest_task = "wide[1]"};
    answer("sinfo", 0, nodes);
    refuses("slurm", NULL, NULL, &need, ERROR_INPUT,
            "task 'wide[1]' asks for 5 cores, and the largest node, n1, has 4");
    need = (struct launcher_need){.cores = 1, .widest = 1, .memory = 4001 * MIB, .memory_task = "fat"};
    refuses("slurm", NULL, NULL, &need, ERROR_INPUT,
            "task 'fat' asks for 4001 MiB of memory, and the largest node, n1, has 4000");
    refuses("slurm", NULL, "partition=no", &need, ERROR_INPUT, "no partition no");
    refuses("slurm", "a,b", NULL, &need, ERROR_INPUT, "--nodes is for a command");
    need = (struct launcher_need){.cores = 1, .widest = 3, .widest_task = "w"};
    refuses("slurm", NULL, "cores=2", &need, ERROR_INPUT, "no more than 2 of a node");
    refuses("slrum", NULL, NULL, &need, ERROR_INPUT, "--launcher takes local, slurm, or a command");
    struct launcher *l = begin("slurm", NULL, "partition=fat", &need);
    assert_int_equal(l->n, 1);
    assert_int_equal(l->node[0].cores, 3); /* no more than is of use */
    assert_int_equal(l->node[0].memory, 12000 * MIB);
    launcher_close(l);
    answer("sinfo", 1, "slurm_load_partitions: Unable to contact slurm controller (connect failure)\n");
    refuses("slurm", NULL, NULL, &need, ERROR_SYSTEM, "Unable to contact slurm controller");
}

/* The script that holds an allocation ends by itself once nobody touches the file. */
static void hold_script(void **state)
{
    AUTO(arena) struct arena a;
    AUTO(mem) char *jobs = at("jobs of 'this' run");
    arena_init(&a);
    put("jobs of 'this' run", "21\n");
    struct capture c;
    struct error err = {0};
    const char *const argv[] = {"/bin/sh", "-s", NULL};
    assert_true(capture_start(&c, argv, NULL, slurm_hold_script(jobs, "/bin/sh", 0.05, 10, &a), &err));
    for (int i = 0; i < 20; i++) { /* more than ten looks */
        struct pollfd p = {.fd = c.pidfd, .events = POLLIN};
        put("jobs of 'this' run", "21\n");
        assert_int_equal(poll(&p, 1, 50), 0);
    }
    assert_true(capture_end(&c, 20, &err));
    assert_int_equal(c.status, 0);
    capture_done(&c);
    assert_true(capture_start(&c, argv, NULL, slurm_hold_script("/nowhere", "/bin/sh", 0.05, 10, &a), &err));
    assert_true(capture_end(&c, 20, &err));
    assert_int_equal(c.status, 3);
    capture_done(&c);
    assert_true(capture_start(&c, argv, NULL, slurm_hold_script(jobs, "/nowhere", 0.05, 10, &a), &err));
    assert_true(capture_end(&c, 20, &err));
    assert_int_equal(c.status, 4);
    capture_done(&c);
}

/* Nodes that a command reaches; one is lost, and answers again. */
static void templates(void **state)
{
    AUTO(arena) struct arena a;
    const char *const *env;
    arena_init(&a);
    put("reach", "#!/bin/sh\n[ ! -e $0.no.$1 ] || exit 255\nshift; eval \"$*\"\n");
    AUTO(mem) char *command = xprintf("%s/reach {node} {quoted}", dir);
    struct launcher *l = begin(command, "a,b", NULL, &small);
    assert_int_equal(l->n, 2);
    assert_true(l->node[0].there && l->node[1].there && l->node[0].cores >= 1 && l->node[0].memory > 0);
    struct launcher_step s = {.task = "t", .node = 1, .cores = 2};
    const char *line = step(l, &s, &env, &a);
    AUTO(mem) char *want = xprintf("/reach b '%s worker --far'", weft);
    assert_non_null(strstr(line, want));
    assert_null(env);
    put("reach.no.b", "");
    l->row->lost(l, 1);
    assert_false(l->node[1].there);
    assert_string_equal(l->node[1].trouble, "the connection to node b is lost");
    for (int i = 0; i < 20; i++) { /* asked at least once, in vain */
        launcher_look(l);
        assert_false(l->node[1].there);
        poll(NULL, 0, 100);
    }
    AUTO(mem) char *no = at("reach.no.b");
    fs->unlink(no);
    for (int i = 0; !l->node[1].there; i++) {
        assert_true(i < 2000);
        poll(NULL, 0, 10);
        launcher_look(l);
    }
    assert_string_equal(buf_str(&said), "node b is lost\nnode b is back\n");
    launcher_close(l);

    l = begin("env A={cores} B={memory} C=x{task} {command}", "a", NULL, &small);
    s = (struct launcher_step){.task = "t u", .cores = 2, .memory = 3 * MIB - 1};
    want = (free(want), xprintf(" -- env A=2 B=3 'C=xt u' %s worker --far", weft));
    assert_non_null(strstr(step(l, &s, &env, &a), want));
    launcher_close(l);
    refuses("env {command}", NULL, NULL, &small, ERROR_INPUT, "a command needs --nodes");
    refuses("env {command}", "a,a", NULL, &small, ERROR_INPUT, "'a' twice");
    refuses("env {command}", "", NULL, &small, ERROR_INPUT, "no node");
    refuses("env {nod} {command}", "a", NULL, &small, ERROR_INPUT, "'{nod}'");
    refuses("env X={command}", "a", NULL, &small, ERROR_INPUT, "a word of its own");
    refuses("sh -c 'echo no; exit 3' {command}", "a", NULL, &small, ERROR_SYSTEM, "node a: exit status 3");
    refuses("echo {command}", "a", NULL, &small, ERROR_INPUT, "node a: ");
    refuses("no-such-command {command}", "a", NULL, &small, ERROR_INPUT, "cannot start 'no-such-command'");
}

static int setup(void **state)
{
    weft = getenv("WEFT");
    if (!weft || !mkdtemp(dir)) {
        fprintf(stderr, "set WEFT to the weft program\n");
        return -1;
    }
    AUTO(mem) char *path = xprintf("%s:%s", dir, getenv("PATH"));
    leave();
    return setenv("PATH", path, 1);
}

static int teardown(void **state)
{
    buf_done(&said);
    return fs_remove_tree(dir, NULL) ? 0 : -1;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(inside_an_allocation), cmocka_unit_test(asks_for_allocations),
        cmocka_unit_test(ends_for_good),        cmocka_unit_test(sizes),
        cmocka_unit_test(hold_script),          cmocka_unit_test(templates)};
    return cmocka_run_group_tests(tests, setup, teardown);
}
