-- Payments, attempts, refunds, and the ledger of money moved.

CREATE TABLE payments (
    id text NOT NULL,
    order_id text NOT NULL,
    method text NOT NULL,
    amount_paise bigint NOT NULL,
    currency text NOT NULL,
    state text NOT NULL,
    version integer NOT NULL DEFAULT 1,
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT pk_payments PRIMARY KEY (id),
    CONSTRAINT ck_payments_method CHECK (
        method IN ('UPI_INTENT', 'UPI_QR', 'CARD', 'NETBANKING', 'WALLET', 'COD')
    ),
    CONSTRAINT ck_payments_state CHECK (
        state IN (
            'CREATED', 'ACTION_REQUIRED', 'PENDING', 'AUTHORISED', 'PARTIALLY_CAPTURED',
            'CAPTURED', 'VOIDING', 'VOIDED', 'FAILED', 'EXPIRED', 'UNKNOWN', 'REFUND_PENDING',
            'PARTIALLY_REFUNDED', 'REFUNDED', 'DISPUTED', 'COD_DUE', 'COD_COLLECTED',
            'COD_REMITTED'
        )
    ),
    CONSTRAINT ck_payments_amount CHECK (amount_paise > 0),
    CONSTRAINT uq_payments_order_id UNIQUE (order_id),
    CONSTRAINT fk_payments_order_id FOREIGN KEY (order_id) REFERENCES orders (id)
);
CREATE INDEX ix_payments_state ON payments (state);

CREATE TABLE payment_attempts (
    id text NOT NULL,
    payment_id text NOT NULL,
    order_id text NOT NULL,
    seq integer NOT NULL,
    psp text NOT NULL,
    state text NOT NULL,
    amount_paise bigint NOT NULL,
    psp_ref text,
    merchant_ref text NOT NULL,
    failure_class text,
    failure_code text,
    reason text,
    next_action jsonb,
    captured_paise bigint NOT NULL DEFAULT 0,
    refunded_paise bigint NOT NULL DEFAULT 0,
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT pk_payment_attempts PRIMARY KEY (id),
    CONSTRAINT ck_payment_attempts_state CHECK (
        state IN (
            'CREATED', 'ACTION_REQUIRED', 'PENDING', 'AUTHORISED', 'PARTIALLY_CAPTURED',
            'CAPTURED', 'VOIDING', 'VOIDED', 'FAILED', 'EXPIRED', 'UNKNOWN', 'REFUND_PENDING',
            'PARTIALLY_REFUNDED', 'REFUNDED', 'DISPUTED', 'COD_DUE', 'COD_COLLECTED',
            'COD_REMITTED'
        )
    ),
    CONSTRAINT ck_payment_attempts_failure_class CHECK (
        failure_class IN (
            'NOT_SENT', 'REJECTED_TRANSIENT', 'DECLINED_SOFT', 'DECLINED_HARD', 'AUTH_REQUIRED',
            'EXPIRED', 'FRAUD', 'INVALID_REQUEST', 'CONFIG', 'IN_PROGRESS', 'UNKNOWN'
        )
    ),
    CONSTRAINT ck_payment_attempts_amount CHECK (amount_paise > 0),
    CONSTRAINT ck_payment_attempts_money CHECK (
        0 <= refunded_paise
        AND refunded_paise <= captured_paise
        AND captured_paise <= amount_paise
    ),
    CONSTRAINT uq_payment_attempts_payment_id_seq UNIQUE (payment_id, seq),
    CONSTRAINT fk_payment_attempts_payment_id FOREIGN KEY (payment_id) REFERENCES payments (id),
    CONSTRAINT uq_payment_attempts_merchant_ref UNIQUE (merchant_ref)
);
CREATE INDEX ix_payment_attempts_order_id ON payment_attempts (order_id);
CREATE UNIQUE INDEX uq_one_capture_per_payment
    ON payment_attempts (payment_id)
    WHERE state IN ('CAPTURED', 'PARTIALLY_CAPTURED');
CREATE UNIQUE INDEX uq_payment_attempts_psp_ref
    ON payment_attempts (psp, psp_ref)
    WHERE psp_ref IS NOT NULL;

CREATE TABLE refunds (
    id text NOT NULL,
    refund_key text NOT NULL,
    attempt_id text NOT NULL,
    order_id text NOT NULL,
    amount_paise bigint NOT NULL,
    state text NOT NULL,
    psp_refund_ref text,
    reason text NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT pk_refunds PRIMARY KEY (id),
    CONSTRAINT ck_refunds_state CHECK (state IN ('PENDING', 'DONE', 'FAILED', 'UNKNOWN')),
    CONSTRAINT ck_refunds_amount CHECK (amount_paise > 0),
    CONSTRAINT uq_refunds_refund_key UNIQUE (refund_key),
    CONSTRAINT fk_refunds_attempt_id FOREIGN KEY (attempt_id) REFERENCES payment_attempts (id)
);
CREATE INDEX ix_refunds_attempt_id ON refunds (attempt_id);
CREATE INDEX ix_refunds_order_id ON refunds (order_id);

CREATE TABLE ledger_entries (
    id bigint GENERATED ALWAYS AS IDENTITY,
    entry_key text NOT NULL,
    txn_key text NOT NULL,
    account text NOT NULL,
    amount_paise bigint NOT NULL,
    currency text NOT NULL,
    order_id text NOT NULL,
    payment_id text,
    attempt_id text,
    kind text NOT NULL,
    at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT pk_ledger_entries PRIMARY KEY (id),
    CONSTRAINT ck_ledger_entries_kind CHECK (
        kind IN ('CAPTURE', 'LATE_CAPTURE', 'REFUND', 'COD_DUE', 'COD_REVERSAL')
    ),
    CONSTRAINT ck_ledger_entries_amount CHECK (amount_paise <> 0),
    CONSTRAINT ck_ledger_entries_account CHECK (account ~ '^(psp:.+|order:.+|cod:due)$'),
    CONSTRAINT uq_ledger_entries_entry_key UNIQUE (entry_key)
);
CREATE INDEX ix_ledger_entries_account ON ledger_entries (account);
CREATE INDEX ix_ledger_entries_order_id ON ledger_entries (order_id);
CREATE INDEX ix_ledger_entries_txn_key ON ledger_entries (txn_key);
CREATE UNIQUE INDEX uq_one_capture_per_order
    ON ledger_entries (order_id)
    WHERE kind = 'CAPTURE' AND amount_paise > 0;
