/* tests REPORT: runs every test and writes a JUnit XML report. Exits with 1 if one fails. */
#include "life.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The first thing that was not as it should be; NULL while all is well. */
static const char *failure;

#define CHECK(condition)                                                     \
	do {                                                                 \
		if (failure == NULL && !(condition))                         \
			failure = __FILE__ ": expected " #condition;         \
	} while (0)

/* Steps the pattern, and says whether it looks as expected then. */
static bool becomes(const char *before, unsigned generations, const char *after)
{
	struct life life;
	const char *reason;

	if (!life_parse(&life, before, &reason))
		return false;
	while (generations-- > 0 && life_step(&life))
		continue;
	char *text = life_print(&life);
	bool same = text != NULL && strcmp(text, after) == 0;

	free(text);
	life_free(&life);
	return same;
}

static void block_stays(void)
{
	CHECK(becomes("....\n.##.\n.##.\n....\n", 1, "....\n.##.\n.##.\n....\n"));
}

static void blinker_turns(void)
{
	CHECK(becomes(".....\n..#..\n..#..\n..#..\n.....\n", 1, ".....\n.....\n.###.\n.....\n.....\n"));
	CHECK(becomes(".....\n..#..\n..#..\n..#..\n.....\n", 2, ".....\n..#..\n..#..\n..#..\n.....\n"));
}

static void glider_moves_one_down_and_right_in_four_generations(void)
{
	CHECK(becomes(".#....\n..#...\n###...\n......\n......\n......\n", 4,
		      "......\n..#...\n...#..\n.###..\n......\n......\n"));
}

static void glider_comes_back_round_the_edges(void)
{
	const char *glider = ".#....\n..#...\n###...\n......\n......\n......\n";

	CHECK(becomes(glider, 4 * 6, glider));
}

static void lonely_cell_dies(void)
{
	CHECK(becomes("...\n.#.\n...\n", 1, "...\n...\n...\n"));
}

static void population_is_counted(void)
{
	struct life life;
	const char *reason;

	CHECK(life_parse(&life, "#.#\n.#.\n", &reason));
	CHECK(life_population(&life) == 3);
	life_free(&life);
}

static void broken_patterns_are_refused(void)
{
	struct life life;
	const char *reason = "";

	CHECK(!life_parse(&life, "", &reason) && strcmp(reason, "the first row is empty") == 0);
	CHECK(!life_parse(&life, "..\n...\n", &reason) && strcmp(reason, "the rows differ in length") == 0);
	CHECK(!life_parse(&life, "..\n.x\n", &reason) && strcmp(reason, "a cell is neither '.' nor '#'") == 0);
}

static const struct {
	const char *name;
	void (*run)(void);
} tests[] = {
	{"block_stays", block_stays},
	{"blinker_turns", blinker_turns},
	{"glider_moves_one_down_and_right_in_four_generations", glider_moves_one_down_and_right_in_four_generations},
	{"glider_comes_back_round_the_edges", glider_comes_back_round_the_edges},
	{"lonely_cell_dies", lonely_cell_dies},
	{"population_is_counted", population_is_counted},
	{"broken_patterns_are_refused", broken_patterns_are_refused},
};

static void print_escaped(FILE *out, const char *text)
{
	for (; *text != '\0'; text++) {
		switch (*text) {
		case '<': fputs("&lt;", out); break;
		case '>': fputs("&gt;", out); break;
		case '&': fputs("&amp;", out); break;
		case '"': fputs("&quot;", out); break;
		default: fputc(*text, out);
		}
	}
}

int main(int argc, char **argv)
{
	enum { COUNT = sizeof tests / sizeof tests[0] };
	const char *failures[COUNT];
	unsigned failed = 0;

	if (argc != 2) {
		fprintf(stderr, "usage: tests REPORT\n");
		return 2;
	}
	for (size_t i = 0; i < COUNT; i++) {
		failure = NULL;
		tests[i].run();
		failures[i] = failure;
		failed += failure != NULL;
		printf("%s %s%s%s\n", failure ? "FAIL" : "ok  ", tests[i].name, failure ? ": " : "", failure ? failure : "");
	}
	printf("%u passed, %u failed\n", COUNT - failed, failed);

	FILE *report = fopen(argv[1], "w");
	if (report == NULL) {
		perror(argv[1]);
		return 2;
	}
	fprintf(report, "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n");
	fprintf(report, "<testsuite name=\"life\" tests=\"%d\" failures=\"%u\" errors=\"0\" skipped=\"0\">\n", COUNT, failed);
	for (size_t i = 0; i < COUNT; i++) {
		fprintf(report, "  <testcase classname=\"life\" name=\"%s\" time=\"0\"", tests[i].name);
		if (failures[i] == NULL) {
			fprintf(report, "/>\n");
		} else {
			fprintf(report, "><failure message=\"");
			print_escaped(report, failures[i]);
			fprintf(report, "\"/></testcase>\n");
		}
	}
	fprintf(report, "</testsuite>\n");
	if (fclose(report) != 0) {
		perror(argv[1]);
		return 2;
	}
	return failed > 0;
}
