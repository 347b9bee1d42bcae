#include "life.h"

#include <stdlib.h>
#include <string.h>

enum { MAX_SIDE = 4096 };

bool life_parse(struct life *life, const char *text, const char **reason)
{
	size_t width = strcspn(text, "\n");
	size_t height = 0;

	*life = (struct life){0};
	if (width == 0) {
		*reason = "the first row is empty";
		return false;
	}
	for (const char *row = text; *row != '\0'; height++) {
		size_t length = strcspn(row, "\n");

		if (length != width) {
			*reason = "the rows differ in length";
			return false;
		}
		if (strspn(row, ".#") < length) {
			*reason = "a cell is neither '.' nor '#'";
			return false;
		}
		row += length + (row[length] == '\n');
	}
	if (width > MAX_SIDE || height > MAX_SIDE) {
		*reason = "more than 4096 rows or columns";
		return false;
	}

	unsigned char *cells = malloc(width * height);
	if (cells == NULL) {
		*reason = "out of memory";
		return false;
	}
	size_t next = 0;
	for (const char *cell = text; *cell != '\0'; cell++) {
		if (*cell != '\n')
			cells[next++] = *cell == '#';
	}
	*life = (struct life){.width = width, .height = height, .cells = cells};
	return true;
}

char *life_print(const struct life *life)
{
	char *text = malloc((life->width + 1) * life->height + 1);
	char *out = text;

	if (text == NULL)
		return NULL;
	for (size_t y = 0; y < life->height; y++) {
		for (size_t x = 0; x < life->width; x++)
			*out++ = life->cells[y * life->width + x] ? '#' : '.';
		*out++ = '\n';
	}
	*out = '\0';
	return text;
}

static unsigned neighbours(const struct life *life, size_t x, size_t y)
{
	unsigned alive = 0;

	for (size_t dy = 0; dy < 3; dy++) {
		for (size_t dx = 0; dx < 3; dx++) {
			if (dx == 1 && dy == 1)
				continue;
			size_t column = (x + dx + life->width - 1) % life->width;
			size_t row = (y + dy + life->height - 1) % life->height;

			alive += life->cells[row * life->width + column];
		}
	}
	return alive;
}

bool life_step(struct life *life)
{
	unsigned char *next = malloc(life->width * life->height);

	if (next == NULL)
		return false;
	for (size_t y = 0; y < life->height; y++) {
		for (size_t x = 0; x < life->width; x++) {
			size_t here = y * life->width + x;
			unsigned alive = neighbours(life, x, y);

			next[here] = alive == 3 || (alive == 2 && life->cells[here]);
		}
	}
	free(life->cells);
	life->cells = next;
	return true;
}

size_t life_population(const struct life *life)
{
	size_t alive = 0;

	for (size_t i = 0; i < life->width * life->height; i++)
		alive += life->cells[i];
	return alive;
}

void life_free(struct life *life)
{
	free(life->cells);
	*life = (struct life){0};
}
