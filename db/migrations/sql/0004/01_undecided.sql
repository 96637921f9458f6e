-- Attempts of which nobody knows yet whether money moved: few of many, looked for all the time.

CREATE INDEX ix_payment_attempts_undecided ON payment_attempts (created_at)
    WHERE state IN ('CREATED', 'UNKNOWN');
