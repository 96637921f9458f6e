-- What is for sale, by whom, and at what price.

CREATE TABLE sellers (
    id text NOT NULL,
    legal_name text NOT NULL,
    display_name text NOT NULL,
    gstin text NOT NULL,
    state_code text NOT NULL,
    pincode text NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT pk_sellers PRIMARY KEY (id),
    CONSTRAINT ck_sellers_pincode CHECK (pincode ~ '^[1-9][0-9]{5}$'),
    CONSTRAINT ck_sellers_state_code CHECK (state_code ~ '^[0-9]{2}$'),
    CONSTRAINT uq_sellers_gstin UNIQUE (gstin)
);

CREATE TABLE categories (
    id text NOT NULL,
    parent_id text,
    name text NOT NULL,
    path text NOT NULL,
    depth integer NOT NULL,
    CONSTRAINT pk_categories PRIMARY KEY (id),
    CONSTRAINT ck_categories_depth CHECK (depth >= 1 AND (depth = 1) = (parent_id IS NULL)),
    CONSTRAINT fk_categories_parent_id FOREIGN KEY (parent_id) REFERENCES categories (id),
    CONSTRAINT uq_categories_path UNIQUE (path)
);
CREATE INDEX ix_categories_path_prefix ON categories (path text_pattern_ops);

CREATE TABLE products (
    id text NOT NULL,
    external_id text,
    seller_id text NOT NULL,
    category_id text NOT NULL,
    title text NOT NULL,
    brand text,
    description text NOT NULL DEFAULT '',
    tax_class text NOT NULL,
    hsn text NOT NULL,
    image_urls jsonb NOT NULL DEFAULT '[]'::jsonb,
    specifications jsonb NOT NULL DEFAULT '{}'::jsonb,
    rating numeric(2, 1),
    status text NOT NULL DEFAULT 'ACTIVE',
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT pk_products PRIMARY KEY (id),
    CONSTRAINT ck_products_status CHECK (status IN ('ACTIVE', 'WITHDRAWN')),
    CONSTRAINT ck_products_rating CHECK (rating BETWEEN 0 AND 5),
    CONSTRAINT uq_products_external_id UNIQUE (external_id),
    CONSTRAINT fk_products_seller_id FOREIGN KEY (seller_id) REFERENCES sellers (id),
    CONSTRAINT fk_products_category_id FOREIGN KEY (category_id) REFERENCES categories (id)
);
CREATE INDEX ix_products_category_id_id ON products (category_id, id);

CREATE TABLE variants (
    sku text NOT NULL,
    product_id text NOT NULL,
    attributes jsonb NOT NULL DEFAULT '{}'::jsonb,
    mrp_paise bigint NOT NULL,
    grams integer NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT pk_variants PRIMARY KEY (sku),
    CONSTRAINT ck_variants_mrp_positive CHECK (mrp_paise > 0),
    CONSTRAINT ck_variants_grams_positive CHECK (grams > 0),
    CONSTRAINT fk_variants_product_id FOREIGN KEY (product_id) REFERENCES products (id)
);
CREATE INDEX ix_variants_product_id ON variants (product_id);

CREATE TABLE listings (
    id text NOT NULL,
    sku text NOT NULL,
    seller_id text NOT NULL,
    price_paise bigint NOT NULL,
    status text NOT NULL DEFAULT 'ACTIVE',
    updated_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT pk_listings PRIMARY KEY (id),
    CONSTRAINT uq_listings_sku_seller_id UNIQUE (sku, seller_id),
    CONSTRAINT ck_listings_price_positive CHECK (price_paise > 0),
    CONSTRAINT ck_listings_status CHECK (status IN ('ACTIVE', 'WITHDRAWN')),
    CONSTRAINT fk_listings_sku FOREIGN KEY (sku) REFERENCES variants (sku),
    CONSTRAINT fk_listings_seller_id FOREIGN KEY (seller_id) REFERENCES sellers (id)
);
CREATE INDEX ix_listings_seller_id ON listings (seller_id);

CREATE TABLE offers (
    id text NOT NULL,
    code text NOT NULL,
    kind text NOT NULL,
    value bigint NOT NULL,
    min_order_paise bigint NOT NULL DEFAULT 0,
    max_discount_paise bigint,
    active_from timestamptz NOT NULL,
    active_to timestamptz NOT NULL,
    status text NOT NULL DEFAULT 'ACTIVE',
    CONSTRAINT pk_offers PRIMARY KEY (id),
    CONSTRAINT ck_offers_code_upper CHECK (code = upper(code)),
    CONSTRAINT ck_offers_kind CHECK (kind IN ('PERCENT', 'FLAT')),
    CONSTRAINT ck_offers_status CHECK (status IN ('ACTIVE', 'WITHDRAWN')),
    CONSTRAINT ck_offers_value CHECK (value > 0 AND (kind <> 'PERCENT' OR value <= 10000)),
    CONSTRAINT ck_offers_min_order CHECK (min_order_paise >= 0),
    CONSTRAINT ck_offers_max_discount CHECK (max_discount_paise > 0),
    CONSTRAINT ck_offers_active CHECK (active_from < active_to),
    CONSTRAINT uq_offers_code UNIQUE (code)
);
