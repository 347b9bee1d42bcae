/* life GENERATIONS FILE: shows a pattern and the generations that follow. */
#include "life.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_FILE = 1 << 25 };

static char *read_file(const char *path)
{
	FILE *file = fopen(path, "rb");
	char *text = NULL;

	if (file == NULL)
		return NULL;
	if (fseek(file, 0, SEEK_END) == 0) {
		long size = ftell(file);

		if (size >= 0 && size <= MAX_FILE && fseek(file, 0, SEEK_SET) == 0)
			text = calloc((size_t)size + 1, 1);
		if (text != NULL && fread(text, 1, (size_t)size, file) != (size_t)size) {
			free(text);
			text = NULL;
		}
	}
	fclose(file);
	return text;
}

int main(int argc, char **argv)
{
	char *end = NULL;
	long generations = argc == 3 ? strtol(argv[1], &end, 10) : -1;

	if (generations < 0 || *end != '\0') {
		fprintf(stderr, "usage: life GENERATIONS FILE\n");
		return 2;
	}
	errno = 0;
	char *text = read_file(argv[2]);
	if (text == NULL) {
		fprintf(stderr, "life: cannot read %s: %s\n", argv[2], errno ? strerror(errno) : "too large");
		return 1;
	}

	struct life life;
	const char *reason;
	bool parsed = life_parse(&life, text, &reason);
	free(text);
	if (!parsed) {
		fprintf(stderr, "life: %s: %s\n", argv[2], reason);
		return 1;
	}

	int status = 0;
	for (long generation = 0; status == 0; generation++) {
		char *picture = life_print(&life);

		if (picture == NULL || (printf("generation %ld, %zu alive\n%s\n", generation, life_population(&life), picture) < 0))
			status = 1;
		free(picture);
		if (generation == generations)
			break;
		if (!life_step(&life))
			status = 1;
	}
	life_free(&life);
	return status;
}
