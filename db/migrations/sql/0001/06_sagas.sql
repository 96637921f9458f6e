-- Guards of sagas' database steps, and the projection of their timelines.

CREATE TABLE step_guards (
    key text NOT NULL,
    saga_id text NOT NULL,
    step text NOT NULL,
    state text NOT NULL,
    result jsonb,
    at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT pk_step_guards PRIMARY KEY (key),
    CONSTRAINT ck_step_guards_state CHECK (state IN ('DONE', 'UNDONE'))
);
CREATE INDEX ix_step_guards_saga_id ON step_guards (saga_id);

CREATE TABLE sagas (
    id text NOT NULL,
    kind text NOT NULL,
    state text NOT NULL,
    order_id text,
    customer_id text,
    waiting_on text NOT NULL DEFAULT '',
    parked_step text,
    parked_code text,
    started_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL DEFAULT now(),
    ended_at timestamptz,
    events integer NOT NULL DEFAULT 0,
    CONSTRAINT pk_sagas PRIMARY KEY (id),
    CONSTRAINT ck_sagas_state CHECK (
        state IN ('RUNNING', 'WAITING', 'COMPENSATING', 'PARKED', 'COMPLETED', 'COMPENSATED')
    ),
    CONSTRAINT ck_sagas_parked CHECK (state <> 'PARKED' OR parked_code IS NOT NULL),
    CONSTRAINT ck_sagas_ended CHECK (
        (state IN ('COMPLETED', 'COMPENSATED')) = (ended_at IS NOT NULL)
    )
);
CREATE INDEX ix_sagas_customer_id ON sagas (customer_id);
CREATE INDEX ix_sagas_kind ON sagas (kind);
CREATE INDEX ix_sagas_newest ON sagas (started_at DESC, id DESC);
CREATE INDEX ix_sagas_order_id ON sagas (order_id);
CREATE INDEX ix_sagas_state_updated_at ON sagas (state, updated_at);

CREATE TABLE saga_events (
    saga_id text NOT NULL,
    seq integer NOT NULL,
    at timestamptz NOT NULL,
    step text NOT NULL,
    kind text NOT NULL,
    code text NOT NULL DEFAULT '',
    detail text NOT NULL DEFAULT '',
    actor text NOT NULL DEFAULT '',
    CONSTRAINT pk_saga_events PRIMARY KEY (saga_id, seq),
    CONSTRAINT fk_saga_events_saga_id FOREIGN KEY (saga_id) REFERENCES sagas (id)
);
