-- What differs between a provider and us, and what people made of it.

CREATE TABLE reconciliation_cases (
    id text NOT NULL,
    provider text NOT NULL,
    subject text NOT NULL,
    outcome text NOT NULL,
    state text NOT NULL,
    present boolean NOT NULL,
    ours_paise bigint NOT NULL,
    settled_paise bigint NOT NULL,
    fee_due_paise bigint NOT NULL,
    fee_taken_paise bigint NOT NULL,
    difference_paise bigint NOT NULL,
    currency text NOT NULL,
    day date NOT NULL,
    payment_ref text NOT NULL,
    merchant_ref text NOT NULL,
    owner text NOT NULL,
    first_approval text,
    written_off_paise bigint NOT NULL DEFAULT 0,
    version integer NOT NULL DEFAULT 1,
    opened_at timestamptz NOT NULL DEFAULT now(),
    state_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT pk_reconciliation_cases PRIMARY KEY (id),
    CONSTRAINT uq_reconciliation_cases_provider_subject UNIQUE (provider, subject),
    CONSTRAINT ck_reconciliation_cases_outcome CHECK (
        outcome IN (
            'MATCHED', 'PENDING', 'MISSING_HERE', 'MISSING_THERE', 'AMOUNT_DIFFERS',
            'FEE_DIFFERS', 'DUPLICATE', 'ON_HOLD'
        )
    ),
    CONSTRAINT ck_reconciliation_cases_state CHECK (
        state IN ('OPEN', 'EXPLAINED', 'CORRECTED', 'WRITTEN_OFF')
    ),
    CONSTRAINT ck_reconciliation_cases_difference CHECK (
        outcome NOT IN ('MATCHED', 'PENDING')
    ),
    CONSTRAINT ck_reconciliation_cases_open CHECK (state <> 'OPEN' OR present),
    CONSTRAINT ck_reconciliation_cases_written_off CHECK (
        state = 'WRITTEN_OFF' OR written_off_paise = 0
    ),
    CONSTRAINT ck_reconciliation_cases_first_approval CHECK (
        state = 'OPEN' OR first_approval IS NULL
    )
);
CREATE INDEX ix_reconciliation_cases_state_opened_at ON reconciliation_cases (state, opened_at);

CREATE TABLE reconciliation_case_events (
    id bigint GENERATED ALWAYS AS IDENTITY,
    case_id text NOT NULL,
    at timestamptz NOT NULL DEFAULT now(),
    actor text NOT NULL,
    kind text NOT NULL,
    note text NOT NULL,
    CONSTRAINT pk_reconciliation_case_events PRIMARY KEY (id),
    CONSTRAINT ck_reconciliation_case_events_kind CHECK (
        kind IN (
            'OPENED', 'CHANGED', 'REOPENED', 'TAKEN', 'NOTED', 'WRITE_OFF_ASKED', 'EXPLAINED',
            'CORRECTED', 'WRITTEN_OFF'
        )
    ),
    CONSTRAINT fk_reconciliation_case_events_case_id
        FOREIGN KEY (case_id) REFERENCES reconciliation_cases (id)
);
CREATE INDEX ix_reconciliation_case_events_case_id ON reconciliation_case_events (case_id);
CREATE TRIGGER reconciliation_case_events_append_only
    BEFORE UPDATE OR DELETE OR TRUNCATE ON reconciliation_case_events
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();

-- A payout covers many orders and names none; everything else in the ledger is an order's.
ALTER TABLE ledger_entries
    ALTER COLUMN order_id DROP NOT NULL,
    DROP CONSTRAINT ck_ledger_entries_kind,
    ADD CONSTRAINT ck_ledger_entries_kind CHECK (
        kind IN (
            'CAPTURE', 'LATE_CAPTURE', 'REFUND', 'COD_DUE', 'COD_REVERSAL', 'COD_COLLECTED',
            'COD_REMITTED', 'CHARGEBACK', 'CHARGEBACK_REVERSAL', 'SETTLEMENT', 'FEE', 'FEE_TAX',
            'WRITE_OFF'
        )
    ),
    DROP CONSTRAINT ck_ledger_entries_account,
    ADD CONSTRAINT ck_ledger_entries_account CHECK (
        account ~ '^(psp:.+|order:.+|cod:due|carrier:.+|bank:.+|fee:.+|tax:.+|written-off:.+)$'
    ),
    ADD CONSTRAINT ck_ledger_entries_order CHECK (
        (order_id IS NULL) = (kind IN ('SETTLEMENT', 'FEE', 'FEE_TAX', 'WRITE_OFF'))
    );
DROP INDEX ix_ledger_entries_account;
CREATE INDEX ix_ledger_entries_account_at ON ledger_entries (account, at);
