import Box from "@cloudscape-design/components/box";
import Modal from "@cloudscape-design/components/modal";
import SpaceBetween from "@cloudscape-design/components/space-between";
import Table from "@cloudscape-design/components/table";
import Toggle from "@cloudscape-design/components/toggle";
import { PAGES, type Shortcuts } from "../keyboard";
import { TEXT } from "../text";

/** What keys do. */
export default function Keyboard({ shortcuts }: { shortcuts: Shortcuts }) {
  const rows = [
    { keys: ["?"], what: TEXT.keyboard.this },
    { keys: ["/"], what: TEXT.keyboard.find },
    ...PAGES.map(({ letter, text }) => ({ keys: ["g", letter], what: TEXT.keyboard.go(text) })),
  ];
  return (
    <Modal visible header={TEXT.keyboard.title} closeAriaLabel={TEXT.close} onDismiss={() => shortcuts.setShown(false)}>
      <SpaceBetween size="m">
        <Table
          variant="borderless"
          items={rows}
          trackBy="what"
          ariaLabels={{ tableLabel: TEXT.keyboard.title }}
          columnDefinitions={[
            {
              id: "keys",
              header: TEXT.keyboard.keys,
              width: 90,
              cell: ({ keys }) => keys.map((key) => <kbd key={key}>{key}</kbd>),
            },
            { id: "what", header: TEXT.keyboard.what, isRowHeader: true, cell: ({ what }) => what },
          ]}
        />
        <Box>{TEXT.keyboard.tables}</Box>
        <Box>{TEXT.keyboard.log}</Box>
        <Toggle checked={shortcuts.isOn} onChange={({ detail }) => shortcuts.setOn(detail.checked)}>
          {TEXT.keyboard.on}
        </Toggle>
      </SpaceBetween>
    </Modal>
  );
}
