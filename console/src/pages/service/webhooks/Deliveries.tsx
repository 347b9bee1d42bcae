import Box from "@cloudscape-design/components/box";
import Button from "@cloudscape-design/components/button";
import ExpandableSection from "@cloudscape-design/components/expandable-section";
import Header from "@cloudscape-design/components/header";
import Link from "@cloudscape-design/components/link";
import Modal from "@cloudscape-design/components/modal";
import SpaceBetween from "@cloudscape-design/components/space-between";
import Spinner from "@cloudscape-design/components/spinner";
import StatusIndicator, { type StatusIndicatorProps } from "@cloudscape-design/components/status-indicator";
import Table from "@cloudscape-design/components/table";
import { useState } from "react";
import { type CallError, callError, pages } from "../../../api/client";
import type { WebhookDeliveries, WebhookDelivery, WebhookDeliveryDetail } from "../../../api/kiln";
import { ago, bytes } from "../../../format";
import { useNow, useReading, useSigned } from "../../../hooks";
import { Code } from "../../../parts/Code";
import { byNumber, Listing } from "../../../parts/Listing";
import { Problem } from "../../../parts/Problem";
import { words } from "../../../parts/status";
import { paths } from "../../../router";
import { TEXT } from "../../../text";

const TYPES: Record<string, StatusIndicatorProps.Type> = {
  PENDING: "pending",
  STARTED: "success",
  IGNORED: "stopped",
  DUPLICATE: "stopped",
  AWAITING_APPROVAL: "pending",
  FAILED: "error",
};

function Outcome({ status }: { status: string }) {
  return <StatusIndicator type={TYPES[status] ?? "info"}>{words(status)}</StatusIndicator>;
}

function Builds({ ids }: { ids: string[] }) {
  if (ids.length === 0) return "–";
  return ids.map((id) => (
    <div key={id}>
      <Link href={paths.build(id)}>{id.split(":").pop()?.slice(0, 8)}</Link>
    </div>
  ));
}

/** What a provider has delivered to a project's webhook, and what became of it. */
export function Deliveries({ project }: { project: string }) {
  const { api } = useSigned();
  const [shown, setShown] = useState<WebhookDelivery>();
  const now = useNow(true);
  const reading = useReading(
    `deliveries ${project}`,
    (signal) =>
      pages(async (nextToken) => {
        const input = { projectName: project, maxResults: 100, nextToken };
        const page = await api.kiln<WebhookDeliveries>("ListWebhookDeliveries", input, signal);
        return { items: page.deliveries, next: page.nextToken };
      }),
    () => 10_000,
  );
  return (
    <>
      <Listing<WebhookDelivery>
        title={project}
        description={TEXT.webhooks.deliveries}
        reading={reading}
        idOf={({ id }) => id}
        textOf={({ event, deliveryId, status, message }) => `${event} ${deliveryId} ${status} ${message}`}
        none={TEXT.webhooks.noDeliveries}
        noneMore={TEXT.webhooks.noDeliveriesMore}
        columns={[
          {
            id: "event",
            header: TEXT.webhooks.event,
            isRowHeader: true,
            minWidth: 140,
            cell: (delivery) => (
              <Button
                variant="inline-link"
                ariaLabel={TEXT.webhooks.showOf(delivery.event, delivery.deliveryId)}
                onClick={() => setShown(delivery)}
              >
                {delivery.event}
              </Button>
            ),
          },
          {
            id: "received",
            header: TEXT.webhooks.received,
            minWidth: 110,
            sortingComparator: byNumber(({ receivedTime }) => receivedTime),
            cell: ({ receivedTime }) => ago(new Date(receivedTime * 1000), now),
          },
          {
            id: "status",
            header: TEXT.project.status,
            minWidth: 150,
            cell: ({ status }) => <Outcome status={status} />,
          },
          {
            id: "why",
            header: TEXT.build.why,
            minWidth: 220,
            cell: ({ message }) => <span className="break">{message}</span>,
          },
          {
            id: "builds",
            header: TEXT.project.builds,
            minWidth: 100,
            cell: ({ buildIds }) => <Builds ids={buildIds} />,
          },
          {
            id: "id",
            header: TEXT.webhooks.id,
            minWidth: 160,
            cell: ({ deliveryId, payloadBytes }) => (
              <span className="break">
                {deliveryId}
                <Box variant="small" display="block">
                  {bytes(payloadBytes)}
                </Box>
              </span>
            ),
          },
        ]}
      />
      {shown && (
        <Delivery
          delivery={shown}
          onDismiss={() => setShown(undefined)}
          onRedelivered={() => {
            setShown(undefined);
            reading.reload();
          }}
        />
      )}
    </>
  );
}

interface DeliveryProps {
  delivery: WebhookDelivery;
  onDismiss: () => void;
  onRedelivered: () => void;
}

/** One delivery: what each filter said, and the body as it came. */
function Delivery({ delivery, onDismiss, onRedelivered }: DeliveryProps) {
  const { api } = useSigned();
  const [failed, setFailed] = useState<CallError>();
  const [isBusy, setBusy] = useState(false);
  const input = { projectName: delivery.projectName, id: delivery.id };
  const reading = useReading(`delivery ${delivery.id}`, (signal) =>
    api.kiln<WebhookDeliveryDetail>("GetWebhookDelivery", input, signal),
  );
  const redeliver = async () => {
    setBusy(true);
    setFailed(undefined);
    try {
      await api.kiln("RedeliverWebhookDelivery", input);
      onRedelivered();
    } catch (thrown) {
      setFailed(callError(thrown));
      setBusy(false);
    }
  };
  return (
    <Modal
      visible
      size="large"
      header={delivery.event}
      closeAriaLabel={TEXT.close}
      onDismiss={onDismiss}
      footer={
        <Box float="right">
          <Button loading={isBusy} onClick={() => void redeliver()}>
            {TEXT.webhooks.redeliver}
          </Button>
        </Box>
      }
    >
      <SpaceBetween size="m">
        {failed && <Problem error={failed} />}
        <Box>
          <Outcome status={delivery.status} /> <span className="break">{delivery.message}</span>
        </Box>
        {reading.error && !reading.data && <Problem error={reading.error} />}
        {!reading.data && !reading.error && <Spinner />}
        {reading.data?.decisions.map((decision, at) => (
          // biome-ignore lint/suspicious/noArrayIndexKey: decisions have no names, and do not change
          <Decision key={at} decision={decision} />
        ))}
        {reading.data?.payload !== undefined && (
          <ExpandableSection headerText={TEXT.webhooks.payload}>
            <Code name={TEXT.webhooks.payload} text={reading.data.payload} />
          </ExpandableSection>
        )}
      </SpaceBetween>
    </Modal>
  );
}

function Decision({ decision }: { decision: WebhookDeliveryDetail["decisions"][number] }) {
  const filters = decision.groups.flatMap(({ filters: some }, group) =>
    some.map((filter, at) => ({ ...filter, group: group + 1, id: `${group} ${at}` })),
  );
  return (
    <Table
      trackBy="id"
      variant="embedded"
      wrapLines
      items={filters}
      ariaLabels={{ tableLabel: TEXT.webhooks.filters }}
      header={
        <Header variant="h3" description={decision.message}>
          {[decision.event, decision.trigger, decision.commit?.slice(0, 12)].filter(Boolean).join(" · ")}
        </Header>
      }
      empty={<Box textAlign="center">{TEXT.webhooks.everything}</Box>}
      columnDefinitions={[
        { id: "group", header: TEXT.webhooks.group, width: 80, cell: ({ group }) => group },
        {
          id: "filter",
          header: TEXT.webhooks.filter,
          isRowHeader: true,
          minWidth: 200,
          cell: ({ type, pattern, excludeMatchedPattern }) => (
            <span className="break">{`${type} ${excludeMatchedPattern ? "≠" : "="} ${pattern}`}</span>
          ),
        },
        {
          id: "matched",
          header: TEXT.webhooks.matched,
          minWidth: 110,
          cell: ({ matched }) => {
            if (matched === undefined) return "–";
            return (
              <StatusIndicator type={matched ? "success" : "stopped"}>
                {matched ? TEXT.environment.yes : TEXT.environment.no}
              </StatusIndicator>
            );
          },
        },
        {
          id: "reason",
          header: TEXT.build.why,
          minWidth: 200,
          cell: ({ value, reason }) => (
            <span className="break">
              {reason}
              {value !== undefined && (
                <Box variant="small" display="block">
                  {value}
                </Box>
              )}
            </span>
          ),
        },
      ]}
    />
  );
}
