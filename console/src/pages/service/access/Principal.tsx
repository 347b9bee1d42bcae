import Alert from "@cloudscape-design/components/alert";
import Box from "@cloudscape-design/components/box";
import Button from "@cloudscape-design/components/button";
import Header from "@cloudscape-design/components/header";
import Modal from "@cloudscape-design/components/modal";
import Multiselect from "@cloudscape-design/components/multiselect";
import SpaceBetween from "@cloudscape-design/components/space-between";
import StatusIndicator from "@cloudscape-design/components/status-indicator";
import { useState } from "react";
import { type CallError, callError } from "../../../api/client";
import {
  type AccessKey,
  type AttachedPolicy,
  createKey,
  inlineDocument,
  type Kind,
  listAttached,
  listGroups,
  listInline,
  listKeys,
  listPolicies,
  listRoles,
  managedDocument,
} from "../../../api/iam";
import { ago } from "../../../format";
import { type Reading, useNow, useReading, useSigned } from "../../../hooks";
import { Ask } from "../../../parts/Ask";
import { Code } from "../../../parts/Code";
import { Listing } from "../../../parts/Listing";
import { Problem } from "../../../parts/Problem";
import { navigate, paths } from "../../../router";
import { TEXT } from "../../../text";
import { Document } from "./Document";

/** A policy of somebody: a managed one has an ARN, an inline one is theirs alone. */
interface Own {
  name: string;
  arn?: string;
}

/** A user or a role: its policies, and a user's access keys. */
export function PrincipalPage({ kind, name }: { kind: Kind; name: string }) {
  const { api } = useSigned();
  const [asked, setAsked] = useState<"attach" | "delete" | Own[]>();
  const [shown, setShown] = useState<Own>();
  const policies = useReading(`policies of ${kind} ${name}`, async (signal) => {
    const [attached, inline] = await Promise.all([
      listAttached(api, kind, name, signal),
      listInline(api, kind, name, signal),
    ]);
    return [...attached, ...inline.map((policy): Own => ({ name: policy }))];
  });
  const done = () => {
    setAsked(undefined);
    policies.reload();
  };
  const part = kind === "User" ? "users" : "roles";
  const named = { [`${kind}Name`]: name };
  return (
    <SpaceBetween size="l">
      <Header
        variant="h1"
        actions={
          <SpaceBetween direction="horizontal" size="xs">
            <Button href={paths.access("simulator", `${kind.toLowerCase()}/${name}`)}>{TEXT.access.simulate}</Button>
            <Button onClick={() => setAsked("delete")}>{TEXT.delete}</Button>
          </SpaceBetween>
        }
      >
        {name}
      </Header>
      <Listing<Own>
        level="h2"
        title={TEXT.access.policies}
        description={TEXT.access.policiesOf[kind]}
        reading={policies}
        idOf={({ name: policy, arn }) => arn ?? policy}
        textOf={({ name: policy, arn }) => `${policy} ${arn ?? ""}`}
        none={TEXT.access.noneAttached}
        isSelectable
        actions={(selected) => (
          <>
            <Button disabled={selected.length === 0} onClick={() => setAsked(selected)}>
              {TEXT.access.detach}
            </Button>
            <Button onClick={() => setAsked("attach")}>{TEXT.access.attach}</Button>
          </>
        )}
        columns={[
          {
            id: "name",
            header: TEXT.name,
            isRowHeader: true,
            minWidth: 180,
            cell: (policy) => (
              <Button variant="inline-link" onClick={() => setShown(policy)}>
                {policy.name}
              </Button>
            ),
          },
          {
            id: "kind",
            header: TEXT.overrides.type,
            minWidth: 110,
            cell: ({ arn }) => (arn === undefined ? TEXT.access.inline : TEXT.access.managed),
          },
          {
            id: "arn",
            header: TEXT.project.arn,
            minWidth: 240,
            cell: ({ arn }) => <span className="break">{arn ?? "–"}</span>,
          },
        ]}
      />
      {kind === "User" ? (
        <>
          <Groups name={name} />
          <Keys name={name} />
        </>
      ) : (
        <Trust name={name} />
      )}
      {asked === "attach" && (
        <Attach named={named} kind={kind} reading={policies} onDone={done} onDismiss={() => setAsked(undefined)} />
      )}
      {asked === "delete" && (
        <Ask
          header={TEXT.form.deleteTitle(name)}
          action={TEXT.delete}
          work={() => api.iam(`Delete${kind}`, named)}
          onDone={() => navigate(paths.access(part))}
          onDismiss={() => setAsked(undefined)}
        >
          <Box>{TEXT.access.deleteText}</Box>
        </Ask>
      )}
      {Array.isArray(asked) && (
        <Ask
          header={TEXT.access.detach}
          action={TEXT.access.detach}
          work={async () => {
            for (const policy of asked) {
              if (policy.arn === undefined) {
                await api.iam(`Delete${kind}Policy`, { ...named, PolicyName: policy.name });
              } else {
                await api.iam(`Detach${kind}Policy`, { ...named, PolicyArn: policy.arn });
              }
            }
          }}
          onDone={done}
          onDismiss={() => setAsked(undefined)}
        >
          <Box>{TEXT.access.detachText}</Box>
          <ul className="break">
            {asked.map((policy) => (
              <li key={policy.arn ?? policy.name}>{policy.name}</li>
            ))}
          </ul>
        </Ask>
      )}
      {shown && (
        <Document
          title={shown.name}
          read={() =>
            shown.arn === undefined ? inlineDocument(api, kind, name, shown.name) : managedDocument(api, shown.arn)
          }
          onDismiss={() => setShown(undefined)}
        />
      )}
    </SpaceBetween>
  );
}

interface AttachProps {
  named: Record<string, string>;
  kind: Kind;
  reading: Reading<Own[]>;
  onDone: () => void;
  onDismiss: () => void;
}

function Attach({ named, kind, reading, onDone, onDismiss }: AttachProps) {
  const { api } = useSigned();
  const [chosen, setChosen] = useState<AttachedPolicy[]>([]);
  const policies = useReading("all policies", (signal) => listPolicies(api, signal));
  const has = new Set(reading.data?.map(({ arn }) => arn));
  const option = ({ name, arn }: AttachedPolicy) => ({ value: arn, label: name, description: arn });
  const known = (policies.data ?? []).filter(({ arn }) => !has.has(arn));
  return (
    <Ask
      header={TEXT.access.attach}
      action={TEXT.access.attach}
      isIncomplete={chosen.length === 0}
      work={async () => {
        for (const { arn } of chosen) await api.iam(`Attach${kind}Policy`, { ...named, PolicyArn: arn });
      }}
      onDone={onDone}
      onDismiss={onDismiss}
    >
      {policies.error && <Problem error={policies.error} />}
      <Multiselect
        selectedOptions={chosen.map(option)}
        options={known.map(option)}
        filteringType="auto"
        filteringAriaLabel={TEXT.list.find}
        placeholder={TEXT.access.choose}
        ariaLabel={TEXT.access.policies}
        deselectAriaLabel={({ label }) => TEXT.form.deselect(label ?? "")}
        empty={TEXT.access.noPolicies}
        statusType={policies.data || policies.error ? "finished" : "loading"}
        onChange={({ detail }) =>
          setChosen(detail.selectedOptions.map(({ value, label }) => ({ arn: value ?? "", name: label ?? "" })))
        }
      />
    </Ask>
  );
}

function Groups({ name }: { name: string }) {
  const { api } = useSigned();
  const groups = useReading(`groups of ${name}`, (signal) => listGroups(api, name, signal));
  if (groups.error && !groups.data) return <Problem error={groups.error} />;
  if (!groups.data?.length) return null;
  return <Box>{TEXT.access.inGroups(groups.data.join(", "))}</Box>;
}

function Keys({ name }: { name: string }) {
  const { api } = useSigned();
  const [made, setMade] = useState<{ id: string; secret: string }>();
  const [doomed, setDoomed] = useState<AccessKey[]>();
  const [isBusy, setBusy] = useState(false);
  const [failed, setFailed] = useState<CallError>();
  const now = useNow(true);
  const keys = useReading(`keys of ${name}`, (signal) => listKeys(api, name, signal));
  const act = async (work: () => Promise<unknown>) => {
    setBusy(true);
    setFailed(undefined);
    try {
      await work();
    } catch (thrown) {
      setFailed(callError(thrown));
    }
    setBusy(false);
    keys.reload();
  };
  const turn = (key: AccessKey) => {
    const Status = key.status === "Active" ? "Inactive" : "Active";
    return act(() => api.iam("UpdateAccessKey", { UserName: name, AccessKeyId: key.id, Status }));
  };
  return (
    <>
      {failed && <Problem error={failed} />}
      <Listing<AccessKey>
        level="h2"
        title={TEXT.access.keys}
        description={TEXT.access.keysLead}
        reading={keys}
        idOf={({ id }) => id}
        textOf={({ id }) => id}
        none={TEXT.access.noKeys}
        isSelectable
        actions={(selected) => (
          <>
            <Button disabled={selected.length === 0} onClick={() => setDoomed(selected)}>
              {TEXT.delete}
            </Button>
            <Button loading={isBusy} onClick={() => void act(async () => setMade(await createKey(api, name)))}>
              {TEXT.access.createKey}
            </Button>
          </>
        )}
        columns={[
          { id: "id", header: TEXT.signIn.id, isRowHeader: true, minWidth: 180, cell: ({ id }) => id },
          {
            id: "status",
            header: TEXT.project.status,
            minWidth: 120,
            cell: ({ status }) => (
              <StatusIndicator type={status === "Active" ? "success" : "stopped"}>
                {status === "Active" ? TEXT.access.active : TEXT.access.inactive}
              </StatusIndicator>
            ),
          },
          {
            id: "created",
            header: TEXT.created,
            minWidth: 110,
            cell: ({ created }) => ago(new Date(created), now),
          },
          {
            id: "turn",
            header: TEXT.form.more,
            minWidth: 130,
            cell: (key) => (
              <Button
                variant="inline-link"
                ariaLabel={TEXT.access.turnOf(key.status === "Active", key.id)}
                onClick={() => void turn(key)}
              >
                {key.status === "Active" ? TEXT.access.deactivate : TEXT.access.activate}
              </Button>
            ),
          },
        ]}
      />
      {made && (
        <Modal visible header={TEXT.access.keyMade} closeAriaLabel={TEXT.close} onDismiss={() => setMade(undefined)}>
          <SpaceBetween size="m">
            <Alert type="info">{TEXT.access.keyOnce}</Alert>
            <Code
              name={TEXT.access.keys}
              text={`aws_access_key_id = ${made.id}\naws_secret_access_key = ${made.secret}`}
            />
          </SpaceBetween>
        </Modal>
      )}
      {doomed && (
        <Ask
          header={TEXT.access.deleteKeys}
          action={TEXT.delete}
          work={async () => {
            for (const { id } of doomed) await api.iam("DeleteAccessKey", { UserName: name, AccessKeyId: id });
          }}
          onDone={() => {
            setDoomed(undefined);
            keys.reload();
          }}
          onDismiss={() => setDoomed(undefined)}
        >
          <Box>{TEXT.access.deleteKeysText}</Box>
        </Ask>
      )}
    </>
  );
}

function Trust({ name }: { name: string }) {
  const { api } = useSigned();
  const reading = useReading(`trust of ${name}`, async (signal) => {
    const roles = await listRoles(api, signal);
    return roles.find((role) => role.name === name)?.trust;
  });
  if (reading.error && !reading.data) return <Problem error={reading.error} />;
  if (!reading.data) return null;
  return (
    <SpaceBetween size="s">
      <Header variant="h2" description={TEXT.access.trustHint}>
        {TEXT.access.trust}
      </Header>
      <Code name={TEXT.access.trust} text={reading.data} />
    </SpaceBetween>
  );
}
