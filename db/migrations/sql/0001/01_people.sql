-- Users, their sessions and addresses, what is blocked, and the keys of their requests.

CREATE TABLE users (
    id text NOT NULL,
    email text NOT NULL,
    phone text,
    name text NOT NULL,
    password_hash text NOT NULL,
    role text NOT NULL,
    status text NOT NULL DEFAULT 'ACTIVE',
    created_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT pk_users PRIMARY KEY (id),
    CONSTRAINT ck_users_email_lower CHECK (email = lower(email)),
    CONSTRAINT ck_users_role CHECK (role IN ('customer', 'support', 'seller', 'admin')),
    CONSTRAINT ck_users_status CHECK (status IN ('ACTIVE', 'BLOCKED')),
    CONSTRAINT uq_users_email UNIQUE (email)
);

CREATE TABLE refresh_tokens (
    id text NOT NULL,
    user_id text NOT NULL,
    family_id text NOT NULL,
    token_hash text NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    expires_at timestamptz NOT NULL,
    used_at timestamptz,
    revoked_at timestamptz,
    CONSTRAINT pk_refresh_tokens PRIMARY KEY (id),
    CONSTRAINT fk_refresh_tokens_user_id FOREIGN KEY (user_id) REFERENCES users (id),
    CONSTRAINT uq_refresh_tokens_token_hash UNIQUE (token_hash)
);
CREATE INDEX ix_refresh_tokens_family_id ON refresh_tokens (family_id);
CREATE INDEX ix_refresh_tokens_user_id ON refresh_tokens (user_id);

CREATE TABLE addresses (
    id text NOT NULL,
    user_id text NOT NULL,
    name text NOT NULL,
    line1 text NOT NULL,
    line2 text NOT NULL DEFAULT '',
    city text NOT NULL,
    state_code text NOT NULL,
    pincode text NOT NULL,
    phone text NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT pk_addresses PRIMARY KEY (id),
    CONSTRAINT ck_addresses_pincode CHECK (pincode ~ '^[1-9][0-9]{5}$'),
    CONSTRAINT ck_addresses_state_code CHECK (state_code ~ '^[0-9]{2}$'),
    CONSTRAINT fk_addresses_user_id FOREIGN KEY (user_id) REFERENCES users (id)
);
CREATE INDEX ix_addresses_user_id ON addresses (user_id);

CREATE TABLE risk_blocks (
    kind text NOT NULL,
    value text NOT NULL,
    reason text NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT pk_risk_blocks PRIMARY KEY (kind, value),
    CONSTRAINT ck_risk_blocks_kind CHECK (kind IN ('USER', 'DEVICE', 'PINCODE'))
);

CREATE TABLE idempotency_keys (
    user_id text NOT NULL,
    key text NOT NULL,
    route text NOT NULL,
    body_hash text NOT NULL,
    resource_id text NOT NULL,
    state text NOT NULL DEFAULT 'IN_FLIGHT',
    locked_until timestamptz NOT NULL,
    response_status integer,
    response_body jsonb,
    created_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT pk_idempotency_keys PRIMARY KEY (user_id, key),
    CONSTRAINT ck_idempotency_keys_state CHECK (state IN ('IN_FLIGHT', 'DONE')),
    CONSTRAINT ck_idempotency_keys_answered CHECK (
        state = 'IN_FLIGHT'
        OR response_status IS NOT NULL
    ),
    CONSTRAINT fk_idempotency_keys_user_id FOREIGN KEY (user_id) REFERENCES users (id)
);
CREATE INDEX ix_idempotency_keys_created_at ON idempotency_keys (created_at);
