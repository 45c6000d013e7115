#include "engine/cli/reference.h"
#include "base/cleanup.h"
#include "base/json.h"
#include "base/mem.h"
#include <stdio.h>
#include <string.h>

static bool is(const json_t *row, const char *key, const char *name)
{
    return strcmp(json_string_or(row, key, ""), name) == 0;
}

/* The row of a system and a domain, NULL when there is none. */
static const json_t *find(const json_t *rows, const char *system, const char *domain)
{
    size_t i;
    const json_t *row;
    json_array_foreach((json_t *)rows, i,
                       row) if (is(row, "system", system) && is(row, "domain", domain)) return row;
    return NULL;
}

static json_t *compare_row(const json_t *row, const json_t *measured)
{
    const char *system = json_string_or(row, "system", ""), *domain = json_string_or(row, "domain", "");
    double want = json_real_or(row, "value", 0);
    json_t *o = json_pack("{s:s, s:s, s:f}", "system", system, "domain", domain, "reference", want);
    const json_t *m = find(measured, system, domain);
    if (m) {
        double got = 100 * json_real_or(m, "value", 0);
        json_object_set_new(o, "measured", json_real(got));
        json_object_set_new(o, "difference", json_real(got - want));
    }
    return o;
}

json_t *reference_compare(const json_t *reference, const json_t *table)
{
    size_t i, k;
    json_t *one, *row, *all = json_array();
    json_array_foreach((json_t *)reference, i, one)
    {
        json_t *rows = json_array(),
               *o = json_pack("{s:s, s:o}", "name", json_string_or(one, "name", ""), "rows", rows);
        if (json_object_get(one, "source"))
            json_object_set(o, "source", json_object_get(one, "source"));
        json_array_foreach(json_object_get(one, "rows"), k, row)
            json_array_append_new(rows, compare_row(row, json_object_get(table, "rows")));
        json_array_append_new(all, o);
    }
    return all;
}

/* ---- for people ---- */

struct names { /* distinct, in order of first appearance */
    const char **item;
    size_t n, cap;
};

static void add_name(struct names *s, const char *name)
{
    for (size_t i = 0; i < s->n; i++)
        if (strcmp(s->item[i], name) == 0)
            return;
    s->item = xgrow(s->item, &s->cap, s->n + 1, sizeof *s->item);
    s->item[s->n++] = name;
}

/* A name as a Markdown cell. */
static void put_name(const char *name)
{
    for (; *name; name++) {
        if (*name == '|' || *name == '\\')
            putchar('\\');
        putchar((unsigned char)*name < ' ' ? ' ' : *name);
    }
}

static void put_cell(const json_t *row)
{
    if (!row)
        printf(" – |");
    else if (json_object_get(row, "difference"))
        printf(" %.15g (%+.2f) |", json_real_or(row, "reference", 0), json_real_or(row, "difference", 0));
    else
        printf(" %.15g |", json_real_or(row, "reference", 0));
}

/* Columns in the order of the measured table, then those that only the reference has. */
static void print_one(const json_t *one, const json_t *measured)
{
    struct names system = {0}, domain = {0};
    const json_t *rows = json_object_get(one, "rows");
    size_t i;
    json_t *row;
    json_array_foreach((json_t *)rows, i, row) add_name(&system, json_string_or(row, "system", ""));
    json_array_foreach((json_t *)measured, i, row)
    {
        const char *name = json_string_or(row, "domain", "");
        bool there = false;
        for (size_t k = 0; k < system.n && !there; k++)
            there = find(rows, system.item[k], name);
        if (there)
            add_name(&domain, name);
    }
    json_array_foreach((json_t *)rows, i, row) add_name(&domain, json_string_or(row, "domain", ""));
    const char *source = json_string_or(one, "source", NULL);
    printf("\n%s%s%s%s: reference (measured minus reference)\n\n| system |", json_string_or(one, "name", ""),
           source ? " (" : "", source ? source : "", source ? ")" : "");
    for (size_t k = 0; k < domain.n; k++) {
        putchar(' ');
        put_name(domain.item[k]);
        printf(" |");
    }
    printf("\n|---|");
    for (size_t k = 0; k < domain.n; k++)
        printf("---:|");
    for (size_t s = 0; s < system.n; s++) {
        printf("\n| ");
        put_name(system.item[s]);
        printf(" |");
        for (size_t k = 0; k < domain.n; k++)
            put_cell(find(rows, system.item[s], domain.item[k]));
    }
    putchar('\n');
    free(system.item);
    free(domain.item);
}

void reference_print(const json_t *reference, const json_t *table)
{
    AUTO_JSON all = reference_compare(reference, table);
    size_t i;
    json_t *one;
    json_array_foreach(all, i, one) print_one(one, json_object_get(table, "rows"));
}
