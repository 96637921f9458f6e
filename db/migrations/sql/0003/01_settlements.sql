-- What providers paid out, and how that compares with what we booked.

-- A line is never changed: what a provider says anew about it is its next revision.
CREATE TABLE settlement_lines (
    id bigint GENERATED ALWAYS AS IDENTITY,
    provider text NOT NULL,
    line_id text NOT NULL,
    revision integer NOT NULL,
    kind text NOT NULL,
    gross_paise bigint NOT NULL,
    fee_paise bigint NOT NULL,
    tax_paise bigint NOT NULL,
    net_paise bigint NOT NULL,
    currency text NOT NULL,
    occurred_at timestamptz NOT NULL,
    settled_on date NOT NULL,
    payment_ref text NOT NULL,
    merchant_ref text NOT NULL,
    return_ref text NOT NULL,
    return_key text NOT NULL,
    settlement_id text NOT NULL,
    utr text NOT NULL,
    on_hold boolean NOT NULL,
    seen_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT pk_settlement_lines PRIMARY KEY (id),
    CONSTRAINT uq_settlement_lines_provider_line_id_revision UNIQUE (provider, line_id, revision),
    CONSTRAINT ck_settlement_lines_kind CHECK (
        kind IN ('PAYMENT', 'REFUND', 'CHARGEBACK', 'CHARGEBACK_REVERSAL', 'ADJUSTMENT')
    ),
    CONSTRAINT ck_settlement_lines_adds_up CHECK (
        gross_paise - fee_paise - tax_paise = net_paise
    ),
    CONSTRAINT ck_settlement_lines_sign CHECK (
        CASE
            WHEN kind IN ('PAYMENT', 'CHARGEBACK_REVERSAL') THEN gross_paise >= 0
            WHEN kind IN ('REFUND', 'CHARGEBACK') THEN gross_paise <= 0
            ELSE true
        END
    ),
    CONSTRAINT ck_settlement_lines_revision CHECK (revision > 0)
);
CREATE INDEX ix_settlement_lines_provider_settled_on ON settlement_lines (provider, settled_on);
CREATE INDEX ix_settlement_lines_provider_seen_at ON settlement_lines (provider, seen_at);
CREATE INDEX ix_settlement_lines_provider_payment_ref ON settlement_lines (provider, payment_ref);
CREATE INDEX ix_settlement_lines_provider_merchant_ref ON settlement_lines (provider, merchant_ref);
CREATE INDEX ix_settlement_lines_provider_return_ref ON settlement_lines (provider, return_ref);
CREATE INDEX ix_settlement_lines_provider_return_key ON settlement_lines (provider, return_key);
CREATE TRIGGER settlement_lines_append_only
    BEFORE UPDATE OR DELETE OR TRUNCATE ON settlement_lines
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();

-- When each day of a provider was last read, and how many lines it had.
CREATE TABLE settlement_days (
    provider text NOT NULL,
    day date NOT NULL,
    lines integer NOT NULL,
    read_at timestamptz NOT NULL,
    CONSTRAINT pk_settlement_days PRIMARY KEY (provider, day)
);

-- Up to when a provider's lines and movements have been compared, and as on which day.
CREATE TABLE reconciliation_marks (
    provider text NOT NULL,
    as_of date NOT NULL,
    compared_at timestamptz NOT NULL,
    CONSTRAINT pk_reconciliation_marks PRIMARY KEY (provider)
);

-- How each line ('line:<id>') and movement (its ledger transaction's key) compares.
CREATE TABLE settlement_matches (
    provider text NOT NULL,
    item text NOT NULL,
    subject text NOT NULL,
    outcome text NOT NULL,
    CONSTRAINT pk_settlement_matches PRIMARY KEY (provider, item),
    CONSTRAINT ck_settlement_matches_outcome CHECK (
        outcome IN (
            'MATCHED', 'PENDING', 'MISSING_HERE', 'MISSING_THERE', 'AMOUNT_DIFFERS',
            'FEE_DIFFERS', 'DUPLICATE', 'ON_HOLD'
        )
    )
);
-- what agrees is looked at again only with something new of its payment
CREATE INDEX ix_settlement_matches_unsettled
    ON settlement_matches (provider)
    WHERE outcome <> 'MATCHED';
