#include "cache/pin.h"
#include "base/cleanup.h"
#include "base/fs.h"
#include "base/json.h"
#include "base/mem.h"
#include "cache/store_impl.h"
#include <ctype.h>
#include <errno.h>
#include <string.h>

#define VERSION      1
#define NAME_LONGEST 200

bool pin_name_valid(const char *name)
{
    size_t n = strlen(name);
    if (n == 0 || n > NAME_LONGEST || !isalnum((unsigned char)name[0]))
        return false;
    for (size_t i = 0; i < n; i++)
        if ((unsigned char)name[i] > 127 || !(isalnum((unsigned char)name[i]) || strchr("._-", name[i])))
            return false;
    return true;
}

static bool check_name(const char *name, struct error *err)
{
    return pin_name_valid(name) ||
           error_set(
               err, NULL, ERROR_INPUT,
               "'%s' is no name of a pin: at most %d letters, digits, '.', '_' and '-', the first a letter "
               "or a digit",
               name, NAME_LONGEST);
}

static char *file_of(const struct store *s, const char *name)
{
    return xprintf("%s/pins/%s", s->path, name);
}

void pin_done(struct pin *p)
{
    free(p->name);
    free(p->what);
    free(p->when);
    free(p->key);
    *p = (struct pin){0};
}

void pins_free(struct pin *p, size_t n)
{
    for (size_t i = 0; i < n; i++)
        pin_done(&p[i]);
    free(p);
}

/* ---- the file ---- */

static char *pin_text(const struct pin *p)
{
    char hex[DIGEST_HEX];
    json_t *keys = json_array();
    for (size_t i = 0; i < p->n; i++)
        json_array_append_new(keys, json_string(digest_hex(&p->key[i], hex)));
    AUTO_JSON j = json_pack("{s:i, s:s, s:s, s:s, s:o}", "version", VERSION, "name", p->name, "what",
                            p->what ? p->what : "", "when", p->when ? p->when : "", "keys", keys);
    if (!j)
        return NULL;
    store_seal(j);
    return json_text(j, true);
}

static bool read_keys(const json_t *keys, struct pin *p)
{
    p->key = xcalloc(json_array_size(keys), sizeof *p->key);
    for (; p->n < json_array_size(keys); p->n++) {
        const char *hex = json_string_value(json_array_get(keys, p->n));
        if (!hex || !digest_parse(hex, &p->key[p->n]))
            return false;
    }
    return json_is_array(keys);
}

bool pin_parse(const char *name, const char *text, size_t n, struct pin *ret)
{
    AUTO_JSON j = json_parse(text, n, "pin", NULL);
    struct pin p = {0};
    const char *inside = json_string_or(j, "name", "");
    if (!store_unseal(j) || json_int_or(j, "version", 0) != VERSION || strcmp(inside, name) != 0)
        return false;
    p.name = xstrdup(inside);
    p.what = xstrdup(json_string_or(j, "what", ""));
    p.when = xstrdup(json_string_or(j, "when", ""));
    bool ok = read_keys(json_object_get(j, "keys"), &p);
    /* A seal holds for the values: the same ones written otherwise are a flipped bit all the same. */
    AUTO(mem) char *again = ok ? pin_text(&p) : NULL;
    if (again && strlen(again) == n && memcmp(again, text, n) == 0) {
        *ret = p;
        return true;
    }
    pin_done(&p);
    return false;
}

/* ---- in and out ---- */

bool pin_put(struct store *s, const struct pin *p, struct error *err)
{
    if (!check_name(p->name, err))
        return false;
    AUTO(mem) char *text = pin_text(p);
    AUTO(mem) char *file = file_of(s, p->name);
    if (!text)
        return error_set(err, NULL, ERROR_INPUT, "pin '%s': its description is not valid UTF-8", p->name);
    for (size_t i = 0; i < p->n; i++)
        store_use(s,
                  &p->key[i]); /* a gc either waits for us to end or reads the pin before it removes more */
    return store_publish(s, file, text, strlen(text), err) || error_context(err, "pin '%s'", p->name);
}

bool pin_remove(struct store *s, const char *name, struct error *err)
{
    if (!check_name(name, err))
        return false;
    AUTO(mem) char *file = file_of(s, name);
    AUTO(mem) char *dir = xprintf("%s/pins", s->path);
    if (fs->unlink(file) == 0)
        return fs_fsync_dir(dir, err) || error_context(err, "pin '%s'", name);
    return errno == ENOENT ? error_set(err, NULL, ERROR_INPUT, "there is no pin '%s' in '%s'", name, s->path)
                           : error_errno(err, "cannot remove '%s'", file);
}

static bool is_gone(const char *path)
{
    struct stat st;
    return lstat(path, &st) != 0 && errno == ENOENT;
}

static bool read_one(struct store *s, const char *name, struct pin *all, size_t *ret_n, struct error *err)
{
    AUTO(mem) char *file = file_of(s, name);
    AUTO(mem) char *text = NULL;
    size_t n;
    if (!fs_read_file_unnoticed(file, &text, &n, err))
        return false;
    if (pin_name_valid(name) && pin_parse(name, text, n, &all[*ret_n])) {
        ++*ret_n;
        return true;
    }
    return error_set(
        err, NULL, ERROR_DAMAGE,
        "'%s' is no intact pin: nothing can be removed while it is not known what it keeps; 'weft "
        "cache verify --repair' moves it to quarantine",
        file);
}

bool pins_read(struct store *s, struct pin **ret, size_t *ret_n, struct error *err)
{
    AUTO(mem) char *dir = xprintf("%s/pins", s->path);
    char **name;
    size_t n;
    *ret = NULL;
    *ret_n = 0;
    if (is_gone(dir))
        return true;
    if (!fs_list_tree(dir, &name, &n, err))
        return error_context(err, "pins");
    struct pin *all = xcalloc(n + 1, sizeof *all);
    size_t found = 0;
    bool ok = true;
    for (size_t i = 0; ok && i < n; i++) {
        struct error why = {0};
        AUTO(mem) char *file = file_of(s, name[i]);
        ok = read_one(s, name[i], all, &found, &why) || is_gone(file); /* removed just now */
        if (!ok && err)
            *err = why;
    }
    fs_list_free(name, n);
    if (!ok) {
        pins_free(all, found);
        return false;
    }
    *ret = all;
    *ret_n = found;
    return true;
}
