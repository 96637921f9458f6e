-- Stock: append-only entries, the levels that fold over them, reservations.

CREATE TABLE warehouses (
    id text NOT NULL,
    code text NOT NULL,
    name text NOT NULL,
    pincode text NOT NULL,
    state_code text NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT pk_warehouses PRIMARY KEY (id),
    CONSTRAINT ck_warehouses_pincode CHECK (pincode ~ '^[1-9][0-9]{5}$'),
    CONSTRAINT uq_warehouses_code UNIQUE (code)
);

CREATE TABLE stock_levels (
    sku text NOT NULL,
    warehouse_id text NOT NULL,
    on_hand bigint NOT NULL DEFAULT 0,
    reserved bigint NOT NULL DEFAULT 0,
    shipped bigint NOT NULL DEFAULT 0,
    written_off bigint NOT NULL DEFAULT 0,
    CONSTRAINT pk_stock_levels PRIMARY KEY (sku, warehouse_id),
    CONSTRAINT ck_stock_levels_on_hand CHECK (on_hand >= 0),
    CONSTRAINT ck_stock_levels_reserved CHECK (reserved >= 0),
    CONSTRAINT ck_stock_levels_shipped CHECK (shipped >= 0),
    CONSTRAINT ck_stock_levels_written_off CHECK (written_off >= 0),
    CONSTRAINT fk_stock_levels_sku FOREIGN KEY (sku) REFERENCES variants (sku),
    CONSTRAINT fk_stock_levels_warehouse_id FOREIGN KEY (warehouse_id) REFERENCES warehouses (id)
);

CREATE TABLE stock_entries (
    id bigint GENERATED ALWAYS AS IDENTITY,
    entry_key text NOT NULL,
    sku text NOT NULL,
    warehouse_id text NOT NULL,
    kind text NOT NULL,
    on_hand_delta bigint NOT NULL DEFAULT 0,
    reserved_delta bigint NOT NULL DEFAULT 0,
    shipped_delta bigint NOT NULL DEFAULT 0,
    written_off_delta bigint NOT NULL DEFAULT 0,
    reservation_id text,
    at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT pk_stock_entries PRIMARY KEY (id),
    CONSTRAINT ck_stock_entries_kind CHECK (
        kind IN ('RECEIVE', 'RESERVE', 'RELEASE', 'COMMIT', 'RETURN', 'WRITE_OFF')
    ),
    CONSTRAINT ck_stock_entries_shape CHECK (
        (kind = 'RECEIVE' AND on_hand_delta > 0 AND reserved_delta = 0
            AND shipped_delta = 0 AND written_off_delta = 0)
        OR (kind = 'RESERVE' AND reserved_delta > 0 AND on_hand_delta = -reserved_delta
            AND shipped_delta = 0 AND written_off_delta = 0)
        OR (kind = 'RELEASE' AND on_hand_delta > 0 AND reserved_delta = -on_hand_delta
            AND shipped_delta = 0 AND written_off_delta = 0)
        OR (kind = 'COMMIT' AND shipped_delta > 0 AND reserved_delta = -shipped_delta
            AND on_hand_delta = 0 AND written_off_delta = 0)
        OR (kind = 'RETURN' AND on_hand_delta > 0 AND shipped_delta = -on_hand_delta
            AND reserved_delta = 0 AND written_off_delta = 0)
        OR (kind = 'WRITE_OFF' AND written_off_delta > 0 AND on_hand_delta = -written_off_delta
            AND reserved_delta = 0 AND shipped_delta = 0)
    ),
    CONSTRAINT uq_stock_entries_entry_key UNIQUE (entry_key)
);
CREATE INDEX ix_stock_entries_reservation_id ON stock_entries (reservation_id);
CREATE INDEX ix_stock_entries_sku_warehouse_id ON stock_entries (sku, warehouse_id);

CREATE TABLE reservations (
    id text NOT NULL,
    order_id text NOT NULL,
    state text NOT NULL,
    expires_at timestamptz NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    ended_at timestamptz,
    CONSTRAINT pk_reservations PRIMARY KEY (id),
    CONSTRAINT ck_reservations_state CHECK (state IN ('HELD', 'COMMITTED', 'RELEASED', 'EXPIRED')),
    CONSTRAINT ck_reservations_ended CHECK ((state = 'HELD') = (ended_at IS NULL)),
    CONSTRAINT uq_reservations_order_id UNIQUE (order_id)
);
CREATE INDEX ix_reservations_held ON reservations (expires_at) WHERE state = 'HELD';

CREATE TABLE reservation_lines (
    reservation_id text NOT NULL,
    sku text NOT NULL,
    warehouse_id text NOT NULL,
    qty bigint NOT NULL,
    CONSTRAINT pk_reservation_lines PRIMARY KEY (reservation_id, sku, warehouse_id),
    CONSTRAINT ck_reservation_lines_qty CHECK (qty > 0),
    CONSTRAINT fk_reservation_lines_reservation_id FOREIGN KEY (reservation_id)
        REFERENCES reservations (id)
);
