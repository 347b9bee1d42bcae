import Alert from "@cloudscape-design/components/alert";
import Autosuggest from "@cloudscape-design/components/autosuggest";
import Box from "@cloudscape-design/components/box";
import Button from "@cloudscape-design/components/button";
import Form from "@cloudscape-design/components/form";
import FormField from "@cloudscape-design/components/form-field";
import Header from "@cloudscape-design/components/header";
import Input from "@cloudscape-design/components/input";
import SpaceBetween from "@cloudscape-design/components/space-between";
import StatusIndicator from "@cloudscape-design/components/status-indicator";
import Table from "@cloudscape-design/components/table";
import { useState } from "react";
import { type CallError, callError } from "../../../api/client";
import { listRoles, listUsers } from "../../../api/iam";
import type { Explained } from "../../../api/kiln";
import { useReading, useSigned } from "../../../hooks";
import { Problem } from "../../../parts/Problem";
import { TEXT } from "../../../text";
import { contextOf } from "./context";

/** What would be decided if somebody asked, and why: statement by statement. */
export function Simulator({ principal }: { principal?: string }) {
  const { api } = useSigned();
  const [who, setWho] = useState<string>();
  const [action, setAction] = useState("codebuild:StartBuild");
  const [resource, setResource] = useState("");
  const [context, setContext] = useState("");
  const [found, setFound] = useState<Explained>();
  const [failed, setFailed] = useState<CallError>();
  const [isBusy, setBusy] = useState(false);
  const known = useReading("principals", async (signal) => {
    // Who may not list them writes an ARN.
    const lists = await Promise.allSettled([listUsers(api, signal), listRoles(api, signal)]);
    return lists.flatMap((list) => (list.status === "fulfilled" ? list.value.map(({ arn }) => arn) : []));
  });
  // As a link names somebody: `user/alice`; their path stands in the ARN.
  const [kind, name] = principal?.split("/", 2) ?? [];
  const linked = known.data?.find((arn) => arn.includes(`:${kind}/`) && arn.endsWith(`/${name}`));
  const chosen = who ?? linked ?? "";

  const ask = async () => {
    setBusy(true);
    setFailed(undefined);
    setFound(undefined);
    try {
      const input = {
        principal: chosen.trim(),
        action: action.trim(),
        resource: resource.trim() || undefined,
        context: contextOf(context),
      };
      setFound(await api.kiln<Explained>("ExplainAccess", input));
    } catch (thrown) {
      setFailed(callError(thrown));
    }
    setBusy(false);
  };
  return (
    <SpaceBetween size="l">
      <form
        onSubmit={(event) => {
          event.preventDefault();
          void ask();
        }}
      >
        <Form
          header={
            <Header variant="h1" description={TEXT.access.simulatorLead}>
              {TEXT.access.simulator}
            </Header>
          }
          actions={
            <Button
              variant="primary"
              formAction="submit"
              loading={isBusy}
              disabled={chosen.trim() === "" || action.trim() === ""}
            >
              {TEXT.access.decide}
            </Button>
          }
        >
          <SpaceBetween size="m">
            <FormField label={TEXT.access.who} stretch>
              <Autosuggest
                value={chosen}
                options={known.data?.map((value) => ({ value })) ?? []}
                placeholder="arn:aws:iam::000000000000:user/alice"
                empty={TEXT.list.noMatch}
                clearAriaLabel={TEXT.clear}
                enteredTextLabel={(value) => `${TEXT.access.use} ${value}`}
                onChange={({ detail }) => setWho(detail.value)}
              />
            </FormField>
            <FormField label={TEXT.access.action} stretch>
              <Input value={action} spellcheck={false} onChange={({ detail }) => setAction(detail.value)} />
            </FormField>
            <FormField label={TEXT.access.onWhat} description={TEXT.access.onWhatHint} stretch>
              <Input
                value={resource}
                placeholder="arn:aws:codebuild:us-east-1:000000000000:project/demo"
                spellcheck={false}
                onChange={({ detail }) => setResource(detail.value)}
              />
            </FormField>
            <FormField label={TEXT.access.conditions} description={TEXT.access.conditionsHint} stretch>
              <Input
                value={context}
                placeholder="aws:SourceIp=10.0.0.1"
                spellcheck={false}
                onChange={({ detail }) => setContext(detail.value)}
              />
            </FormField>
          </SpaceBetween>
        </Form>
      </form>
      {failed && <Problem error={failed} />}
      {found && <Decision found={found} />}
    </SpaceBetween>
  );
}

function Decision({ found }: { found: Explained }) {
  const isAllowed = found.decision === "allowed";
  return (
    <SpaceBetween size="l">
      <Alert type={isAllowed ? "success" : "warning"} header={TEXT.access.decisions[found.decision]}>
        <span className="break">{found.message ?? found.resource}</span>
      </Alert>
      <Table
        items={found.statements}
        wrapLines
        ariaLabels={{ tableLabel: TEXT.access.statements }}
        header={<Header variant="h2">{TEXT.access.statements}</Header>}
        empty={<Box textAlign="center">{TEXT.access.noStatements}</Box>}
        columnDefinitions={[
          {
            id: "policy",
            header: TEXT.access.policy,
            isRowHeader: true,
            minWidth: 220,
            cell: ({ policy, policyType }) => (
              <span className="break">
                {policy ?? policyType}
                {policy && (
                  <Box variant="small" display="block">
                    {policyType}
                  </Box>
                )}
              </span>
            ),
          },
          { id: "statement", header: TEXT.access.statement, minWidth: 100, cell: ({ statement }) => statement },
          { id: "effect", header: TEXT.access.effect, minWidth: 80, cell: ({ effect }) => effect },
          {
            id: "applies",
            header: TEXT.access.applies,
            minWidth: 220,
            cell: ({ applies, whyNot, effect }) =>
              applies ? (
                <StatusIndicator type={effect === "Allow" ? "success" : "error"}>{TEXT.access.yes}</StatusIndicator>
              ) : (
                <span className="break">{whyNot ?? TEXT.access.no}</span>
              ),
          },
        ]}
      />
    </SpaceBetween>
  );
}
