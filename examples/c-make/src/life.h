#ifndef LIFE_H
#define LIFE_H

#include <stdbool.h>
#include <stddef.h>

/* A rectangle of cells whose edges meet: what leaves on the right comes back on the left. */
struct life {
	size_t width;
	size_t height;
	unsigned char *cells; /* 1 is alive; row by row */
};

/* Reads a pattern: one row a line, '#' alive, '.' dead. Returns false, with a reason, if it is none. */
bool life_parse(struct life *life, const char *text, const char **reason);

/* Writes the pattern as text that life_parse reads. The caller frees it. NULL when out of memory. */
char *life_print(const struct life *life);

/* Goes on by one generation. Returns false when out of memory, and changes nothing then. */
bool life_step(struct life *life);

/* How many cells are alive. */
size_t life_population(const struct life *life);

void life_free(struct life *life);

#endif
