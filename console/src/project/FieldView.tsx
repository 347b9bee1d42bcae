import AttributeEditor from "@cloudscape-design/components/attribute-editor";
import Box from "@cloudscape-design/components/box";
import Button from "@cloudscape-design/components/button";
import FormField from "@cloudscape-design/components/form-field";
import Input from "@cloudscape-design/components/input";
import Multiselect from "@cloudscape-design/components/multiselect";
import Select from "@cloudscape-design/components/select";
import SpaceBetween from "@cloudscape-design/components/space-between";
import Textarea from "@cloudscape-design/components/textarea";
import Toggle from "@cloudscape-design/components/toggle";
import { lazy, Suspense } from "react";
import { TEXT } from "../text";
import { type Draft, get, isDraft, put, text, type Value } from "./draft";
import { type Field, isShown, wrong } from "./fields";

const Buildspec = lazy(() => import("./Buildspec"));

const NOTHING = { value: "", label: TEXT.form.notSet };

export interface FieldsProps {
  fields: readonly Field[];
  draft: Draft;
  /** Whether fields that are still empty are wrong already. */
  isStrict: boolean;
  /** Fields that cannot be changed. */
  fixed?: readonly string[];
  onChange: (draft: Draft) => void;
}

/** Fields one below the other, those that have a meaning. */
export function Fields({ fields, draft, isStrict, fixed, onChange }: FieldsProps) {
  return (
    <SpaceBetween size="m">
      {fields
        .filter((field) => isShown(field, draft))
        .map((field) => (
          <FieldView
            key={field.path}
            field={field}
            draft={draft}
            isStrict={isStrict}
            isFixed={fixed?.includes(field.path) ?? false}
            onChange={(value) => onChange(put(draft, field.path, value))}
          />
        ))}
    </SpaceBetween>
  );
}

interface FieldViewProps {
  field: Field;
  draft: Draft;
  isStrict: boolean;
  isFixed: boolean;
  onChange: (value: Value | undefined) => void;
}

function FieldView({ field, draft, isStrict, isFixed, onChange }: FieldViewProps) {
  const value = get(draft, field.path);
  const said = wrong(field, value);
  const isEmpty = value === undefined;
  const error = isEmpty && !isStrict ? undefined : said;
  const label = field.required ? (
    field.label
  ) : (
    <>
      {field.label} <i>– {TEXT.form.optional}</i>
    </>
  );
  switch (field.kind) {
    case "toggle":
      return (
        <Toggle
          checked={value === true}
          description={field.hint}
          onChange={({ detail }) => onChange(detail.checked || undefined)}
        >
          {field.label}
        </Toggle>
      );
    case "buildspec":
      return (
        <Suspense fallback={<Box>{TEXT.loading}</Box>}>
          <Buildspec value={typeof value === "string" ? value : ""} hint={field.hint} onChange={onChange} />
        </Suspense>
      );
    case "list":
      return (
        <FormField label={label} description={field.hint} errorText={error} stretch>
          {field.isFlat ? (
            <FlatList field={field} items={items(value)} isStrict={isStrict} onChange={onChange} />
          ) : (
            <List field={field} items={items(value)} isStrict={isStrict} onChange={onChange} />
          )}
        </FormField>
      );
    default:
      return (
        <FormField label={label} description={field.hint} errorText={error} stretch>
          <Control field={field} value={value} isFixed={isFixed} onChange={onChange} />
        </FormField>
      );
  }
}

function items(value: Value | undefined): Draft[] {
  return Array.isArray(value) ? value.filter(isDraft) : [];
}

interface ControlProps {
  field: Field;
  value: Value | undefined;
  isFixed?: boolean;
  onChange: (value: Value | undefined) => void;
}

function Control({ field, value, isFixed, onChange }: ControlProps) {
  const shown = typeof value === "string" || typeof value === "number" ? String(value) : "";
  switch (field.kind) {
    case "select": {
      // A value that this console does not know stays selectable.
      const known = [...new Set([...(field.options ?? []), shown])].filter((name) => name !== "");
      const options = known.map((name) => ({ value: name, label: name }));
      const all = field.required ? options : [NOTHING, ...options];
      return (
        <Select
          selectedOption={all.find((option) => option.value === shown) ?? null}
          options={all}
          placeholder={TEXT.form.choose}
          filteringType={all.length > 10 ? "auto" : "none"}
          filteringAriaLabel={field.label}
          onChange={({ detail }) => onChange(detail.selectedOption.value)}
        />
      );
    }
    case "choices": {
      const chosen = Array.isArray(value) ? value.filter((one) => typeof one === "string") : [];
      const option = (name: string) => ({ value: name, label: name });
      return (
        <Multiselect
          selectedOptions={chosen.map(option)}
          options={(field.options ?? []).map(option)}
          placeholder={TEXT.form.choose}
          deselectAriaLabel={(one) => TEXT.form.deselect(one.label ?? "")}
          onChange={({ detail }) => onChange(detail.selectedOptions.map((one) => one.value ?? ""))}
        />
      );
    }
    case "lines":
      return (
        <Textarea
          value={Array.isArray(value) ? value.join("\n") : ""}
          rows={3}
          spellcheck={false}
          onChange={({ detail }) => onChange(detail.value === "" ? undefined : detail.value.split("\n"))}
        />
      );
    case "number":
      return (
        <Input
          value={shown}
          inputMode="numeric"
          onChange={({ detail }) => {
            const typed = detail.value.trim();
            // What is no number stays as it was typed, and is said to be none.
            onChange(/^-?\d{1,15}$/.test(typed) ? Number(typed) : typed);
          }}
        />
      );
    default:
      return (
        <Input value={shown} spellcheck={false} disabled={isFixed} onChange={({ detail }) => onChange(detail.value)} />
      );
  }
}

interface ListProps {
  field: Field;
  items: Draft[];
  isStrict: boolean;
  onChange: (value: Value | undefined) => void;
}

/** Items that are a row each. */
function FlatList({ field, items, isStrict, onChange }: ListProps) {
  const fields = field.fields ?? [];
  const isFull = field.most !== undefined && items.length >= field.most;
  return (
    <AttributeEditor<Draft>
      items={items}
      addButtonText={TEXT.form.add}
      removeButtonText={TEXT.form.remove}
      disableAddButton={isFull}
      additionalInfo={isFull && field.most !== undefined ? TEXT.form.wrong.items(field.most) : undefined}
      empty={TEXT.form.none}
      onAddButtonClick={() => onChange([...items, { ...field.fresh }])}
      onRemoveButtonClick={({ detail }) => onChange(items.filter((_, at) => at !== detail.itemIndex))}
      definition={fields.map((inner) => ({
        label: inner.label,
        errorText: (item: Draft) => {
          const value = get(item, inner.path);
          return value === "" && !isStrict ? undefined : wrong(inner, value);
        },
        control: (item: Draft, at: number) => (
          <Control
            field={inner}
            value={get(item, inner.path)}
            // What is empty stays a member, so that the row stays.
            onChange={(value) => onChange(items.with(at, { ...item, [inner.path]: value ?? "" }))}
          />
        ),
      }))}
    />
  );
}

/** Items with fields of their own. */
function List({ field, items, isStrict, onChange }: ListProps) {
  const isFull = field.most !== undefined && items.length >= field.most;
  return (
    <SpaceBetween size="m">
      {items.map((item, at) => (
        // biome-ignore lint/suspicious/noArrayIndexKey: items have no other name while they are filled in
        <div key={at} className="form-item">
          <SpaceBetween size="m">
            <Fields
              fields={field.fields ?? []}
              draft={item}
              isStrict={isStrict}
              onChange={(next) => onChange(items.with(at, { ...keptOf(field.fresh), ...next }))}
            />
            <Button
              ariaLabel={TEXT.form.removeOf(field.label, at + 1, text(item, field.fields?.[0]?.path ?? ""))}
              onClick={() => onChange(items.filter((_, other) => other !== at))}
            >
              {TEXT.form.remove}
            </Button>
          </SpaceBetween>
        </div>
      ))}
      <Button
        disabled={isFull}
        ariaLabel={TEXT.form.addOf(field.label)}
        onClick={() => onChange([...items, { ...field.fresh }])}
      >
        {TEXT.form.add}
      </Button>
    </SpaceBetween>
  );
}

/** Members that a new item has, empty: without any member an item would be gone. */
function keptOf(fresh: Draft | undefined): Draft {
  return Object.fromEntries(Object.keys(fresh ?? {}).map((name) => [name, ""]));
}
