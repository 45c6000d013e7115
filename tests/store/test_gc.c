/* What goes when room is short, in which order, and what does not. */
#include "base/buf.h"
#include "cache/checkpoint.h"
#include "cache/hot.h"
#include "tests/store/room.h"
#include <sys/file.h>

#define ONE ((int64_t)SIZE + 300) /* more than an object takes, and less than two */

/* ---- order ---- */

static char seen_names[512];
static int64_t seen_bytes;

static void see(void *arg, const struct record_summary *m, int64_t bytes)
{
    size_t n = strlen(seen_names);
    snprintf(seen_names + n, sizeof seen_names - n, "%s%s ", m->task, m->freed ? "!" : "");
    seen_bytes += bytes;
}
static struct gc_report gc_seen(int64_t size, bool dry_run)
{
    seen_names[0] = '\0';
    seen_bytes = 0;
    return gc_with(&(struct gc_options){.max_size = size, .dry_run = dry_run, .see = see});
}

/* Seconds per byte: a short task of one object goes before a long one of one, and that of one before a long
 * one of three. */
static void by_value(void **state)
{
    new_store(NULL);
    put_entry("dear", 100, "a");
    put_entry("cheap", 1, "b");
    put_entry("large", 60, "cde");
    put_entry("medium", 50, "f");
    int64_t before = size_of_store();
    struct gc_report r = gc_seen(before, false);
    assert_true(r.before == before && r.after == before && r.freed == 0 && r.limit == before);
    r = gc_seen(before - 1, false);
    assert_string_equal(seen_names, "cheap ");
    assert_true(r.freed == 1 && r.removed == 0 && r.before == before && r.after == size_of_store());
    assert_true(before - r.after == seen_bytes - (int64_t)sizeof "  \"freed\": true,\n" + 1);
    expect("cheap", FREED);
    assert_false(has_object("b"));
    r = gc_seen(before - 2 * ONE, false);
    assert_string_equal(seen_names, "large ");
    expect("large", FREED);
    r = gc_seen(2 * ONE, false);
    assert_int_equal(r.freed, 1);
    assert_string_equal(seen_names, "medium ");
    expect("dear", HIT);
    r = gc_seen(2 * ONE, false);
    assert_true(r.freed == 0 && r.removed == 0);
}

/* A day halves the value: what is dear and old goes before what is cheap and new. */
static void by_age(void **state)
{
    new_store(NULL);
    put_entry("old", 100, "a");
    put_entry("new", 50, "b");
    put_entry("used", 49, "c");
    set_used("old", 2);
    set_used("new", 0.5);
    set_used("used", 300);
    struct digest key = key_of("used");
    AUTO(store) struct store *s = open_store();
    store_touch(s, &key);
    struct gc_report r = gc_seen(2 * ONE, false);
    assert_true(r.freed == 2 && r.used == 0);
    assert_string_equal(seen_names, "old new ");
    expect("used", HIT);
}

/* A look by gc, or by anything that is no run, is no use; nor is being freed. */
static void age_stays(void **state)
{
    new_store(NULL);
    put_entry("a", 1, "a");
    put_entry("b", 1.1, "b");
    set_used("a", 400);
    set_used("b", 500);
    AUTO(mem) char *index = at("store/index");
    for (int i = 0; i < 2; i++) {
        unlink(index); /* all records are read */
        gc_to(i == 0 ? 0 : ONE + 2000);
        for (int k = 0; k < 2; k++) {
            struct digest key = key_of(k ? "b" : "a");
            AUTO(mem) char *file = file_of("records", &key);
            struct stat st;
            assert_int_equal(lstat(file, &st), 0);
            double days = (double)(time(NULL) - st.st_atim.tv_sec) / DAY;
            assert_true(days > 399 + 100 * k && days < 401 + 100 * k);
        }
    }
    expect("b", FREED); /* more seconds, but 500 days */
    expect("a", HIT);
}

/* ---- what others need ---- */

static void shared(void **state)
{
    new_store(NULL);
    put_entry("both", 1, "ab");
    put_entry("first", 10, "a");
    int64_t before = size_of_store();
    struct gc_report r = gc_to(before - 1);
    assert_true(r.freed == 1 && before - r.after > (int64_t)SIZE && before - r.after < 2 * (int64_t)SIZE);
    expect("both", FREED);
    expect("first", HIT);
    assert_true(has_object("a"));
    r = gc_to(ONE);
    assert_true(r.freed == 1 && r.after == size_of_store());
    expect("first", FREED);
    assert_false(has_object("a"));
}

/* Nothing is let go of whose going makes no room: a sharer is pinned, or is dearer and can stay. */
static void useless(void **state)
{
    new_store(NULL);
    put_entry("cheap", 1, "a");
    put_entry("pinned", 2, "a");
    put_entry("other", 5, "b");
    put_entry("dear", 90, "c");
    pin("p", "pinned");
    struct gc_report r = gc_seen(size_of_store() - 1, false);
    assert_string_equal(seen_names, "other ");
    expect("cheap", HIT);
    assert_int_equal(r.pinned, 1);
}

/* The same object twice in one result, and a result whose content is another's. */
static void same_content(void **state)
{
    new_store(NULL);
    put_entry("twice", 1, "aa");
    put_entry("again", 2, "a");
    int64_t before = size_of_store();
    struct gc_report r = gc_to(before - 1);
    assert_int_equal(r.freed, 2); /* the object goes with the last of them */
    assert_true(r.after == size_of_store() && before - r.after > (int64_t)SIZE - 100);
}

static void pinned_and_kept(void **state)
{
    new_store(NULL);
    put_entry("pinned", 1, "a");
    put_entry("kept", 2, "b");
    put_entry("goes", 3, "c");
    pin("p", "pinned");
    struct digest keep = key_of("kept");
    struct gc_report r = gc_with(&(struct gc_options){.max_size = 1, .keep = &keep, .n_keep = 1});
    assert_true(r.pinned == 2 && r.removed == 1 && r.after > r.limit && r.after == size_of_store());
    expect("pinned", HIT);
    expect("kept", HIT);
    expect("goes", MISS);
    AUTO(store) struct store *s = open_store();
    static char name[] = "p";
    assert_true(pin_remove(s, name, NULL));
    r = gc_to(1);
    assert_true(r.removed == 2 && r.after == 0);
}

static void damaged_pin(void **state)
{
    new_store(NULL);
    put_entry("a", 1, "a");
    pin("p", "a");
    AUTO(mem) char *file = at("store/pins/p");
    assert_true(fs_write_file(file, "{}", 2, NULL));
    struct digest orphan;
    AUTO(store) struct store *s = open_store();
    assert_true(put_content(s, "z", SIZE, &orphan, NULL));
    store_close(s);
    s = open_store();
    set_age("objects", &orphan, 2 * DAY);
    struct gc_report r;
    struct error err = {0};
    int64_t before = size_of_store();
    assert_false(store_gc(s, &(struct gc_options){.max_size = 1}, &r, &err));
    assert_int_equal(err.code, ERROR_DAMAGE);
    assert_non_null(strstr(err.text, "pins/p"));
    assert_int_equal(before, size_of_store());
}

/* ---- what is in use ---- */

static bool use_a(struct store *s)
{
    struct digest key = key_of("a");
    store_use(s, &key);
    return true;
}
static bool use_object(struct store *s)
{
    struct digest d = object_of("b");
    store_use(s, &d);
    return true;
}

static void in_use(void **state)
{
    new_store(NULL);
    put_entry("a", 1, "a");
    put_entry("b", 2, "b");
    put_entry("c", 3, "c");
    pid_t first = other_process(use_a), second = other_process(use_object);
    AUTO(store) struct store *s = open_store();
    struct digest key = key_of("c");
    struct gc_report r;
    store_use(s, &key); /* our own uses count too */
    assert_true(store_gc(s, &(struct gc_options){.max_size = 1}, &r, NULL));
    assert_true(r.freed == 0 && r.used == 3 && r.removed == 0 + 1); /* b's object stays, its record went */
    expect("a", HIT);
    expect("c", HIT);
    assert_true(has_object("b"));
    end_process(first);
    end_process(second);
    assert_true(store_gc(s, &(struct gc_options){.max_size = 1}, &r, NULL));
    assert_true(r.orphans == 1 && r.removed == 1 && r.used == 1);
    expect("c", HIT);
}

/* A freed result is a hit while another has its objects: to who uses it they stay. */
static void freed_in_use(void **state)
{
    new_store(NULL);
    put_entry("a", 1, "x");
    AUTO(store) struct store *s = open_store();
    struct digest key = key_of("a");
    assert_true(store_free(s, &key, 1, NULL));
    store_close(s);
    s = open_store();
    put_entry("b", 1, "x");
    expect("a", HIT);
    pid_t pid = other_process(use_a);
    gc_to(1);
    expect("a", HIT);
    assert_true(has_object("x"));
    end_process(pid);
    gc_to(1);
    expect("a", MISS);
    assert_false(has_object("x"));
}

/* A process that was about to publish a result with an object that is there, and its record is not yet. */
static bool dedupe(struct store *s)
{
    struct digest d;
    return put_content(s, "a", SIZE, &d, NULL);
}
static void about_to_publish(void **state)
{
    new_store(NULL);
    put_entry("a", 1, "a");
    pid_t pid = other_process(dedupe);
    struct gc_report r = gc_to(SIZE);
    assert_true(r.freed == 0 && r.used == 1);
    assert_true(has_object("a"));
    end_process(pid);
}

/* Another process publishes just when gc has looked at the store and begins to lock; then it ends. */
static const struct fs_ops *usual;
static int open_late(const char *path, int flags, mode_t mode)
{
    if (strstr(path, "/locks/use.")) {
        fs = usual;
        pid_t pid = fork();
        if (pid == 0) {
            put_entry("late", 1, "xz");
            _exit(0);
        }
        waitpid(pid, NULL, 0);
    }
    return fs_real.open(path, flags, mode);
}
static void published_meanwhile(void **state)
{
    new_store(NULL);
    put_entry("a", 1, "x");
    put_entry("b", 1, "y");
    AUTO(store) struct store *s = open_store();
    struct digest orphan;
    assert_true(put_content(s, "z", SIZE, &orphan, NULL));
    store_close(s);
    s = open_store();
    struct gc_report r;
    struct fs_ops late = *fs;
    usual = fs;
    late.open = open_late;
    fs = &late;
    bool ok = store_gc(s, &(struct gc_options){.max_size = 1}, &r, NULL);
    assert_ptr_equal(fs, usual);
    assert_true(ok && r.orphans == 0 && r.freed == 1);
    expect("late", HIT);
    assert_true(has_object("x") && has_object("z") && !has_object("y"));
}

/* A pin that comes while gc is at work. */
static void see_and_pin(void *arg, const struct record_summary *m, int64_t bytes)
{
    if (strcmp(m->task, "a") == 0 && !m->freed)
        pin("late", "none");
}
static void pinned_meanwhile(void **state)
{
    new_store(NULL);
    put_entry("a", 1, "a");
    put_entry("none", 1, "");
    struct gc_report r = gc_with(&(struct gc_options){.max_size = 1, .see = see_and_pin});
    assert_true(r.freed == 1 && r.removed == 1 && r.pinned == 1);
    expect("none", HIT);
}

/* Who looked before sees that it is gone, and who computes it again has it again. */
static void others_notice(void **state)
{
    new_store(NULL);
    put_entry("a", 1, "a");
    put_entry("b", 2, "b");
    AUTO(store) struct store *s = open_store();
    const struct index_entry *e;
    enum store_state found;
    struct digest a = key_of("a"), b = key_of("b");
    assert_true(store_look_up(s, &a, &e, &found, NULL) && found == STORE_HIT);
    store_recall_begin(s, 1);
    assert_non_null(store_recall(s, &a));
    store_recall_end(s);
    struct gc_report r = gc_to(2 * ONE - 200);
    assert_int_equal(r.freed, 1);
    store_recall_begin(s, 1);
    assert_null(store_recall(s, &a));
    store_recall_end(s);
    assert_true(store_look_up(s, &a, &e, &found, NULL) && found == STORE_FREED);
    gc_to(1);
    assert_true(store_look_up(s, &b, &e, &found, NULL) && found == STORE_MISS);
    put_entry("a", 1, "a");
    assert_true(store_look_up(s, &a, &e, &found, NULL) && found == STORE_HIT);
}

static bool take_gc(struct store *s)
{
    return store_lock(s, "gc", LOCK_EX | LOCK_NB, NULL) >= 0;
}
static void one_at_a_time(void **state)
{
    new_store(NULL);
    put_entry("a", 1, "a");
    pid_t pid = other_process(take_gc);
    struct gc_report r = gc_to(1);
    assert_true(r.busy && !r.freed && !r.removed);
    expect("a", HIT);
    end_process(pid);
    r = gc_to(1);
    assert_true(!r.busy && r.removed == 1);
}

/* ---- records, orphans, the rest ---- */

static void records_last(void **state)
{
    new_store(NULL);
    put_entry("a", 1, "a");
    put_entry("b", 5, "b");
    put_entry("none", 3, "");
    int64_t record = 0;
    for (int i = 0; i < 3; i++) {
        static const char *const name[] = {"a", "b", "none"};
        struct digest key = key_of(name[i]);
        AUTO(mem) char *file = file_of("records", &key);
        struct stat st;
        assert_int_equal(stat(file, &st), 0);
        record += st.st_size;
    }
    struct gc_report r = gc_seen(record + 50, false);
    assert_true(r.freed == 2 && r.removed == 0);
    r = gc_seen(record - 1, false);
    assert_string_equal(seen_names, "a! ");
    assert_true(r.removed == 1 && r.after == size_of_store() && r.after < record);
    expect("a", MISS);
    expect("b", FREED);
    r = gc_seen(1, false);
    assert_string_equal(seen_names, "none b! ");
    assert_int_equal(size_of_store(), 0);
}

static void orphans(void **state)
{
    new_store(NULL);
    struct digest d[3];
    put_entry("a", 1, "a");
    AUTO(store) struct store *s = open_store();
    static const char *const label[] = {"old", "young", "used"};
    for (int i = 0; i < 3; i++)
        assert_true(put_content(s, label[i], SIZE, &d[i], NULL));
    store_close(s);
    s = open_store();
    set_age("objects", &d[0], 700);
    set_age("objects", &d[2], 700);
    store_use(s, &d[2]);
    struct gc_report r = gc_to(0); /* no limit */
    assert_true(r.orphans == 1 && r.orphan_bytes > (int64_t)SIZE && r.freed == 0 && r.limit == 0);
    assert_false(store_has(s, &d[0]));
    r = gc_to(3 * ONE); /* enough but for the records */
    assert_true(r.orphans == 1 && r.freed == 0 && !store_has(s, &d[1]) && store_has(s, &d[2]));
    expect("a", HIT);
}

/* Locks that mean nothing: ages alone tell what may be in use. */
static void without_locks(void **state)
{
    new_store("{\"locks\": false}");
    struct digest d[2];
    put_entry("old", 1, "a");
    put_entry("new", 1, "b");
    AUTO(store) struct store *s = open_store();
    assert_true(put_content(s, "c", SIZE, &d[0], NULL) && put_content(s, "d", SIZE, &d[1], NULL));
    store_close(s);
    s = open_store();
    set_used("old", 1.1);
    set_age("objects", &d[0], 1.1 * DAY);
    set_age("objects", &d[1], 0.9 * DAY);
    struct gc_report r = gc_to(1);
    assert_true(r.orphans == 1 && r.used == 1 && r.removed == 1);
    expect("new", HIT);
    assert_true(store_has(s, &d[1]));
}

static void put_checkpoint(struct store *s, const char *id, int64_t step, bool keep)
{
    AUTO(mem) char *in = at("state");
    struct digest d = key_of(id);
    assert_true(fs_write_file(in, "state", 5, NULL));
    assert_true(store_checkpoint_put(s, &d, &(struct checkpoint){.step = step, .keep = keep}, in, NULL));
}
static int64_t step_of(struct store *s, const char *id)
{
    AUTO(mem) char *out = at("out");
    struct digest d = key_of(id);
    struct checkpoint c;
    unlink(out);
    assert_true(store_checkpoint_find(s, &d, 99, out, &c, NULL));
    return c.step;
}

/* Final states go when room is short, others when nobody went on with them for a week. */
static void checkpoints(void **state)
{
    new_store(NULL);
    AUTO(store) struct store *s = open_store();
    put_checkpoint(s, "final", 3, true);
    put_checkpoint(s, "under way", 2, false);
    put_entry("a", 1, "a");
    assert_int_equal(gc_to(0).strays, 0);
    struct gc_report r = gc_to(size_of_store() - 1);
    assert_true(r.strays == 1 && r.stray_bytes > 0);
    assert_true(step_of(s, "final") == 0 && step_of(s, "under way") == 2);
    put_checkpoint(s, "final", 3, true);
    r = gc_with(&(struct gc_options){.now = time(NULL) + 6 * DAY});
    assert_int_equal(r.strays, 0);
    r = gc_with(&(struct gc_options){.now = time(NULL) + 8 * DAY});
    assert_true(r.strays == 2 && step_of(s, "final") == 0 && step_of(s, "under way") == 0);
}

/* Memos whose file is gone, what was put aside a month ago, what was left half-made. */
static void strays(void **state)
{
    new_store(NULL);
    AUTO(store) struct store *s = open_store();
    AUTO(mem) char *gone = at("gone");
    AUTO(mem) char *there = at("there");
    AUTO(mem) char *aside = at("store/quarantine/object-x");
    AUTO(mem) char *half = at("store/.publish.1.2");
    struct digest d[2];
    assert_true(fs_write_file(gone, "gone", 4, NULL) && fs_write_file(there, "there", 5, NULL));
    assert_true(store_import(s, gone, &d[0], NULL, NULL) && store_import(s, there, &d[1], NULL, NULL));
    assert_true(fs_write_file(aside, "?", 1, NULL) && fs_write_file(half, "?", 1, NULL));
    unlink(gone);
    assert_int_equal(gc_to(0).strays, 0);
    struct gc_options o = {.now = time(NULL) + 2 * DAY};
    assert_int_equal(gc_with(&o).strays, 3); /* two memos and the half-made */
    assert_true(fs_exists(aside) && !fs_exists(half));
    o.now = time(NULL) + 31 * DAY;
    assert_int_equal(gc_with(&o).strays, 1);
    assert_false(fs_exists(aside));
    AUTO(mem) char *found = store_import_find(s, &d[1]);
    assert_non_null(found);
}

static void hot_files(void **state)
{
    new_store("{\"hot_size\": 0}");
    put_entry("a", 1, "a");
    AUTO(store) struct store *s = open_store();
    struct digest d = object_of("a");
    AUTO(mem) char *hot = store_hot(s, &d, (int64_t)SIZE, NULL);
    assert_non_null(hot);
    assert_int_equal(gc_to(0).strays, 0); /* in use */
    store_hot_drop(s, &d);
    struct gc_report r = gc_with(&(struct gc_options){.dry_run = true});
    assert_true(r.strays == 1 && r.stray_bytes == (int64_t)SIZE && fs_exists(hot));
    r = gc_to(0);
    assert_true(r.strays == 1 && !fs_exists(hot));
}

/* ---- saying what would go ---- */

/* Names, sizes and times (a record's last use too) of all but the locks' files and what an index remembers.
 */
static char *snapshot(void)
{
    AUTO(buf) struct buf b = {0};
    AUTO(mem) char *path = at("store");
    char **list;
    size_t n;
    assert_true(fs_list_tree(path, &list, &n, NULL));
    for (size_t i = 0; i < n; i++) {
        AUTO(mem) char *file = xprintf("%s/%s", path, list[i]);
        struct stat st;
        if (strncmp(list[i], "locks/", 6) != 0 && strcmp(list[i], "index") != 0 && lstat(file, &st) == 0)
            buf_printf(&b, "%s %lld %lld.%ld %lld.%ld\n", list[i], (long long)st.st_size,
                       (long long)st.st_mtim.tv_sec, st.st_mtim.tv_nsec,
                       strncmp(list[i], "records/", 8) == 0 ? (long long)st.st_atim.tv_sec : 0,
                       st.st_atim.tv_nsec * (strncmp(list[i], "records/", 8) == 0));
    }
    fs_list_free(list, n);
    return buf_take(&b);
}

static void fill(void)
{
    new_store(NULL);
    put_entry("a", 1, "ab");
    put_entry("b", 2, "bc");
    put_entry("c", 3, "d");
    put_entry("d", 4, "e");
    put_entry("none", 1, "");
    put_entry("pinned", 0, "f");
    pin("p", "pinned");
    AUTO(store) struct store *s = open_store();
    struct digest d;
    assert_true(put_content(s, "orphan", SIZE, &d, NULL));
    put_checkpoint(s, "final", 3, true);
}

/* For every limit: nothing changes, and the report is that of what then happens. */
static void dry_run(void **state)
{
    for (int64_t size = 1; size < 9 * ONE; size += ONE / 2) {
        fill();
        AUTO(store) struct store *s = open_store();
        struct digest key = key_of("c");
        store_use(s, &key);
        AUTO(mem) char *before = snapshot();
        struct gc_report would = gc_seen(size, true);
        AUTO(mem) char *names = xstrdup(seen_names);
        AUTO(mem) char *after = snapshot();
        assert_string_equal(before, after);
        struct gc_report did = gc_seen(size, false);
        assert_memory_equal(&would, &did, sizeof did);
        assert_string_equal(seen_names, names);
        assert_int_equal(did.after, size_of_store());
        assert_true(did.after <= size || did.pinned || did.used);
        assert_true(did.used <= 1 && did.pinned <= 1);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(by_value),         cmocka_unit_test(by_age),
        cmocka_unit_test(age_stays),        cmocka_unit_test(shared),
        cmocka_unit_test(useless),          cmocka_unit_test(same_content),
        cmocka_unit_test(pinned_and_kept),  cmocka_unit_test(damaged_pin),
        cmocka_unit_test(in_use),           cmocka_unit_test(freed_in_use),
        cmocka_unit_test(about_to_publish), cmocka_unit_test(others_notice),
        cmocka_unit_test(one_at_a_time),    cmocka_unit_test(published_meanwhile),
        cmocka_unit_test(pinned_meanwhile), cmocka_unit_test(records_last),
        cmocka_unit_test(orphans),          cmocka_unit_test(without_locks),
        cmocka_unit_test(checkpoints),      cmocka_unit_test(strays),
        cmocka_unit_test(hot_files),        cmocka_unit_test(dry_run)};
    return cmocka_run_group_tests(tests, entries_setup, entries_teardown);
}
