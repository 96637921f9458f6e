-- Orders and their items.

CREATE TABLE orders (
    id text NOT NULL,
    user_id text NOT NULL,
    state text NOT NULL,
    currency text NOT NULL,
    total_paise bigint NOT NULL,
    pincode text NOT NULL,
    payment_method text NOT NULL,
    price_breakdown jsonb NOT NULL,
    address_snapshot jsonb NOT NULL,
    coupon_code text,
    refusal_code text,
    refusal_reason text,
    saga_id text NOT NULL,
    version integer NOT NULL DEFAULT 1,
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    confirmed_at timestamptz,
    CONSTRAINT pk_orders PRIMARY KEY (id),
    CONSTRAINT ck_orders_state CHECK (
        state IN (
            'CREATED', 'ON_HOLD', 'AWAITING_PAYMENT', 'CONFIRMED', 'REFUSED', 'CANCELLED',
            'EXPIRED', 'SHIPPED', 'DELIVERED', 'RETURN_REQUESTED', 'RETURNED'
        )
    ),
    CONSTRAINT ck_orders_payment_method CHECK (
        payment_method IN ('UPI_INTENT', 'UPI_QR', 'CARD', 'NETBANKING', 'WALLET', 'COD')
    ),
    CONSTRAINT ck_orders_total CHECK (total_paise >= 0),
    CONSTRAINT ck_orders_pincode CHECK (pincode ~ '^[1-9][0-9]{5}$'),
    CONSTRAINT ck_orders_refusal CHECK (state <> 'REFUSED' OR refusal_code IS NOT NULL),
    CONSTRAINT ck_orders_confirmed CHECK (
        state NOT IN ('CONFIRMED', 'SHIPPED', 'DELIVERED', 'RETURN_REQUESTED', 'RETURNED')
        OR confirmed_at IS NOT NULL
    ),
    CONSTRAINT fk_orders_user_id FOREIGN KEY (user_id) REFERENCES users (id)
);
CREATE INDEX ix_orders_state ON orders (state);
CREATE INDEX ix_orders_user_newest ON orders (user_id, created_at DESC, id DESC);

CREATE TABLE order_items (
    id text NOT NULL,
    order_id text NOT NULL,
    line_no integer NOT NULL,
    sku text NOT NULL,
    listing_id text NOT NULL,
    seller_id text NOT NULL,
    title text NOT NULL,
    qty integer NOT NULL,
    unit_price_paise bigint NOT NULL,
    line_total_paise bigint NOT NULL,
    taxable_paise bigint NOT NULL,
    cgst_paise bigint NOT NULL,
    sgst_paise bigint NOT NULL,
    igst_paise bigint NOT NULL,
    gst_rate_bp integer NOT NULL,
    hsn text NOT NULL,
    CONSTRAINT pk_order_items PRIMARY KEY (id),
    CONSTRAINT uq_order_items_order_id_line_no UNIQUE (order_id, line_no),
    CONSTRAINT ck_order_items_qty CHECK (qty > 0),
    CONSTRAINT ck_order_items_unit_price CHECK (unit_price_paise > 0),
    CONSTRAINT ck_order_items_line_total CHECK (line_total_paise >= 0),
    CONSTRAINT ck_order_items_taxes CHECK (
        taxable_paise + cgst_paise + sgst_paise + igst_paise = line_total_paise
    ),
    CONSTRAINT fk_order_items_order_id FOREIGN KEY (order_id) REFERENCES orders (id),
    CONSTRAINT fk_order_items_sku FOREIGN KEY (sku) REFERENCES variants (sku),
    CONSTRAINT fk_order_items_listing_id FOREIGN KEY (listing_id) REFERENCES listings (id),
    CONSTRAINT fk_order_items_seller_id FOREIGN KEY (seller_id) REFERENCES sellers (id)
);
