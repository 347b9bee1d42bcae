import Box from "@cloudscape-design/components/box";
import Header from "@cloudscape-design/components/header";
import Pagination from "@cloudscape-design/components/pagination";
import SpaceBetween from "@cloudscape-design/components/space-between";
import Table, { type TableProps } from "@cloudscape-design/components/table";
import TextFilter from "@cloudscape-design/components/text-filter";
import { type ReactNode, useState } from "react";
import { count } from "../format";
import type { Reading } from "../hooks";
import { TEXT } from "../text";
import { Problem } from "./Problem";

/** Rows of a page. */
const PAGE = 20;

export interface ListingProps<Item> {
  title: string;
  description?: ReactNode;
  reading: Reading<Item[]>;
  columns: TableProps.ColumnDefinition<Item>[];
  /** What an item is known by. */
  idOf: (item: Item) => string;
  /** What is looked through for what somebody types. */
  textOf: (item: Item) => string;
  /** Said where there is nothing. */
  none: string;
  noneMore?: ReactNode;
  /** Whether items can be selected: for `actions`. */
  isSelectable?: boolean;
  actions?: (selected: Item[]) => ReactNode;
  /** Whether it is the page, or a part of one. */
  level?: "h1" | "h2";
}

/** A list that somebody looks through: filtered, sorted and shown page by page; or why it cannot be had. */
export function Listing<Item>(props: ListingProps<Item>) {
  const { title, description, reading, columns, idOf, textOf, none, noneMore, isSelectable, actions, level } = props;
  const [filter, setFilter] = useState("");
  const [page, setPage] = useState(1);
  const [chosen, setChosen] = useState<ReadonlySet<string>>(new Set());
  const [sorting, setSorting] = useState<TableProps.SortingState<Item>>();
  const items = reading.data ?? [];
  const wanted = filter.toLowerCase();
  const found = wanted === "" ? items : items.filter((item) => textOf(item).toLowerCase().includes(wanted));
  const comparator = sorting?.sortingColumn.sortingComparator;
  const sorted = comparator ? found.toSorted((a, b) => comparator(a, b) * (sorting.isDescending ? -1 : 1)) : found;
  const last = Math.max(1, Math.ceil(sorted.length / PAGE));
  const shown = Math.min(page, last);
  // What is gone is not selected any more.
  const selected = items.filter((item) => chosen.has(idOf(item)));
  const heading = (
    <Header
      variant={level ?? "h1"}
      description={description}
      counter={reading.data && `(${count(items.length)})`}
      actions={actions && !reading.error?.isUnsupported && <div className="actions">{actions(selected)}</div>}
    >
      {title}
    </Header>
  );
  if (reading.error && !reading.data) {
    return (
      <SpaceBetween size="m">
        {heading}
        <Problem error={reading.error} />
      </SpaceBetween>
    );
  }
  return (
    <Table<Item>
      variant="container"
      trackBy={idOf}
      items={sorted.slice((shown - 1) * PAGE, shown * PAGE)}
      loading={!reading.data}
      loadingText={TEXT.loading}
      enableKeyboardNavigation
      wrapLines
      selectionType={isSelectable ? "multi" : undefined}
      selectedItems={selected}
      onSelectionChange={({ detail }) => setChosen(new Set(detail.selectedItems.map(idOf)))}
      ariaLabels={{
        selectionGroupLabel: title,
        allItemsSelectionLabel: () => TEXT.list.selectAll,
        itemSelectionLabel: (_, item) => TEXT.list.select(idOf(item)),
        tableLabel: title,
      }}
      sortingColumn={sorting?.sortingColumn}
      sortingDescending={sorting?.isDescending}
      onSortingChange={({ detail }) => setSorting(detail)}
      header={heading}
      filter={
        items.length > 0 && (
          <TextFilter
            filteringText={filter}
            filteringPlaceholder={TEXT.list.find}
            filteringAriaLabel={TEXT.list.findIn(title)}
            countText={wanted === "" ? undefined : TEXT.project.matches(found.length)}
            onChange={({ detail }) => {
              setFilter(detail.filteringText);
              setPage(1);
            }}
          />
        )
      }
      pagination={
        last > 1 && (
          <Pagination
            currentPageIndex={shown}
            pagesCount={last}
            ariaLabels={{
              nextPageLabel: TEXT.list.nextPage,
              previousPageLabel: TEXT.list.previousPage,
              pageLabel: TEXT.list.page,
            }}
            onChange={({ detail }) => setPage(detail.currentPageIndex)}
          />
        )
      }
      empty={
        <Box textAlign="center" padding="l">
          <Box variant="strong">{wanted === "" ? none : TEXT.list.noMatch}</Box>
          {wanted === "" && noneMore && <Box color="text-body-secondary">{noneMore}</Box>}
        </Box>
      }
      columnDefinitions={columns}
    />
  );
}

/** Compares items by a text. */
export function byText<Item>(textOf: (item: Item) => string | undefined): (a: Item, b: Item) => number {
  return (a, b) => (textOf(a) ?? "").localeCompare(textOf(b) ?? "", "en");
}

/** Compares items by a number. */
export function byNumber<Item>(numberOf: (item: Item) => number | undefined): (a: Item, b: Item) => number {
  return (a, b) => (numberOf(a) ?? 0) - (numberOf(b) ?? 0);
}
