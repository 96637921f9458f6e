-- Events that leave, webhooks that arrive.

CREATE TABLE outbox (
    id bigint GENERATED ALWAYS AS IDENTITY,
    event_id text NOT NULL,
    topic text NOT NULL,
    key text NOT NULL,
    schema text NOT NULL,
    version integer NOT NULL,
    payload jsonb NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    published_at timestamptz,
    attempts integer NOT NULL DEFAULT 0,
    last_error text,
    CONSTRAINT pk_outbox PRIMARY KEY (id),
    CONSTRAINT ck_outbox_version CHECK (version >= 1),
    CONSTRAINT uq_outbox_event_id UNIQUE (event_id)
);
CREATE INDEX ix_outbox_unpublished ON outbox (id) WHERE published_at IS NULL;

CREATE TABLE webhook_inbox (
    id text NOT NULL,
    provider text NOT NULL,
    event_id text NOT NULL,
    occurred_at timestamptz NOT NULL,
    received_at timestamptz NOT NULL DEFAULT now(),
    trust text NOT NULL,
    kind text NOT NULL,
    payment_ref text,
    order_id text,
    payload jsonb NOT NULL,
    delivered_at timestamptz,
    delivery_attempts integer NOT NULL DEFAULT 0,
    last_error text,
    CONSTRAINT pk_webhook_inbox PRIMARY KEY (id),
    CONSTRAINT uq_webhook_inbox_provider_event_id UNIQUE (provider, event_id),
    CONSTRAINT ck_webhook_inbox_trust CHECK (trust IN ('SIGNED', 'TOKEN_ONLY'))
);
CREATE INDEX ix_webhook_inbox_order_id ON webhook_inbox (order_id);
CREATE INDEX ix_webhook_inbox_undelivered ON webhook_inbox (received_at) WHERE delivered_at IS NULL;
