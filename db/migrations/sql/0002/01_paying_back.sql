-- Money that goes back: by refund or by dispute, never more than was taken.

ALTER TABLE payment_attempts
    ADD COLUMN charged_back_paise bigint NOT NULL DEFAULT 0,
    ADD COLUMN bank text,
    DROP CONSTRAINT ck_payment_attempts_money,
    ADD CONSTRAINT ck_payment_attempts_money CHECK (
        0 <= refunded_paise
        AND 0 <= charged_back_paise
        AND refunded_paise + charged_back_paise <= captured_paise
        AND captured_paise <= amount_paise
    );

ALTER TABLE refunds
    ADD COLUMN kind text NOT NULL DEFAULT 'GIVEN_BACK',
    ADD COLUMN requested_by text,
    ADD COLUMN refusals integer NOT NULL DEFAULT 0,
    ADD CONSTRAINT ck_refunds_kind CHECK (kind IN ('GIVEN_BACK', 'REQUESTED', 'DOUBLE'));
CREATE INDEX ix_refunds_state ON refunds (state) WHERE state <> 'DONE';

-- Refunds under way count as paid: two that fit one by one must not both go. A DOUBLE returns a
-- second payment that the PSP made of one request, which is not part of what was captured.
CREATE FUNCTION refuse_refund_that_does_not_fit() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    room bigint;
BEGIN
    SELECT captured_paise - charged_back_paise INTO room FROM payment_attempts
    WHERE id = NEW.attempt_id FOR NO KEY UPDATE;
    SELECT room - coalesce(sum(amount_paise), 0) INTO room FROM refunds
    WHERE attempt_id = NEW.attempt_id AND refund_key <> NEW.refund_key
      AND kind <> 'DOUBLE' AND state <> 'FAILED';
    IF NEW.amount_paise > room THEN
        RAISE EXCEPTION 'a refund of % paise does not fit: % paise of attempt % can be given back',
            NEW.amount_paise, room, NEW.attempt_id
            USING ERRCODE = 'check_violation', CONSTRAINT = 'refunds_fit', TABLE = 'refunds';
    END IF;
    RETURN NEW;
END $$;

CREATE TRIGGER refunds_fit BEFORE INSERT ON refunds
    FOR EACH ROW WHEN (NEW.kind <> 'DOUBLE' AND NEW.state <> 'FAILED')
    EXECUTE FUNCTION refuse_refund_that_does_not_fit();
CREATE TRIGGER refunds_still_fit BEFORE UPDATE OF state, amount_paise ON refunds
    FOR EACH ROW
    WHEN (NEW.kind <> 'DOUBLE' AND NEW.state <> 'FAILED' AND OLD.state = 'FAILED')
    EXECUTE FUNCTION refuse_refund_that_does_not_fit();

CREATE TABLE disputes (
    id text NOT NULL,
    psp text NOT NULL,
    psp_dispute_ref text NOT NULL,
    attempt_id text NOT NULL,
    order_id text NOT NULL,
    amount_paise bigint NOT NULL,
    state text NOT NULL,
    reason text,
    opened_at timestamptz NOT NULL,
    closed_at timestamptz,
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT pk_disputes PRIMARY KEY (id),
    CONSTRAINT ck_disputes_state CHECK (state IN ('OPEN', 'WON', 'LOST')),
    CONSTRAINT ck_disputes_amount CHECK (amount_paise > 0),
    CONSTRAINT uq_disputes_psp_psp_dispute_ref UNIQUE (psp, psp_dispute_ref),
    CONSTRAINT fk_disputes_attempt_id FOREIGN KEY (attempt_id) REFERENCES payment_attempts (id)
);
CREATE INDEX ix_disputes_attempt_id ON disputes (attempt_id);
CREATE INDEX ix_disputes_order_id ON disputes (order_id);

-- A PSP's token for a card, an account or a UPI address; the number itself is never here.
CREATE TABLE payment_instruments (
    id text NOT NULL,
    user_id text NOT NULL,
    method text NOT NULL,
    psp text NOT NULL,
    token text NOT NULL,
    label text NOT NULL,
    bin text,
    bank text,
    expires_on date,
    created_at timestamptz NOT NULL DEFAULT now(),
    removed_at timestamptz,
    CONSTRAINT pk_payment_instruments PRIMARY KEY (id),
    CONSTRAINT ck_payment_instruments_method CHECK (
        method IN ('UPI_INTENT', 'UPI_QR', 'CARD', 'NETBANKING', 'WALLET', 'COD')
    ),
    CONSTRAINT ck_payment_instruments_bin CHECK (bin ~ '^[0-9]{6,8}$'),
    CONSTRAINT fk_payment_instruments_user_id FOREIGN KEY (user_id) REFERENCES users (id)
);
CREATE UNIQUE INDEX uq_payment_instruments_psp_token
    ON payment_instruments (user_id, psp, token)
    WHERE removed_at IS NULL;
CREATE INDEX ix_payment_instruments_user_id ON payment_instruments (user_id);

-- The longest prefix of a PIN code decides how much may be paid in cash there; 0 is nothing, and
-- where no prefix fits the usual limit holds.
CREATE TABLE cash_limits (
    pincode_prefix text NOT NULL,
    max_paise bigint NOT NULL,
    CONSTRAINT pk_cash_limits PRIMARY KEY (pincode_prefix),
    CONSTRAINT ck_cash_limits_pincode_prefix CHECK (pincode_prefix ~ '^[0-9]{0,6}$'),
    CONSTRAINT ck_cash_limits_max_paise CHECK (max_paise >= 0)
);

ALTER TABLE ledger_entries
    DROP CONSTRAINT ck_ledger_entries_kind,
    ADD CONSTRAINT ck_ledger_entries_kind CHECK (
        kind IN (
            'CAPTURE', 'LATE_CAPTURE', 'REFUND', 'COD_DUE', 'COD_REVERSAL', 'COD_COLLECTED',
            'COD_REMITTED', 'CHARGEBACK', 'CHARGEBACK_REVERSAL', 'SETTLEMENT', 'FEE', 'FEE_TAX'
        )
    ),
    DROP CONSTRAINT ck_ledger_entries_account,
    ADD CONSTRAINT ck_ledger_entries_account CHECK (
        account ~ '^(psp:.+|order:.+|cod:due|carrier:.+|bank:.+|fee:.+|tax:.+)$'
    );
