-- GST invoices and credit notes: who issues them, their numbers, what they say, and the PDF.

-- Who issues. A document keeps a copy of its own, so that a change here alters none.
CREATE TABLE gst_suppliers (
    id text NOT NULL,
    legal_name text NOT NULL,
    gstin text NOT NULL,
    address jsonb NOT NULL,
    state_code text NOT NULL,
    invoice_prefix text NOT NULL,
    credit_note_prefix text NOT NULL,
    min_hsn_digits integer NOT NULL,
    updated_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT pk_gst_suppliers PRIMARY KEY (id),
    CONSTRAINT ck_gst_suppliers_gstin CHECK (left(gstin, 2) = state_code AND length(gstin) = 15),
    CONSTRAINT ck_gst_suppliers_prefixes CHECK (
        invoice_prefix ~ '^[A-Z0-9-]{1,5}$'
        AND credit_note_prefix ~ '^[A-Z0-9-]{1,5}$'
        AND invoice_prefix <> credit_note_prefix
    ),
    CONSTRAINT ck_gst_suppliers_min_hsn_digits CHECK (min_hsn_digits IN (4, 6))
);

-- The last number of a series. It is advanced in the transaction of the document that gets the
-- number, so a rollback gives it back; no sequence does that.
CREATE TABLE gst_counters (
    seller_id text NOT NULL,
    financial_year integer NOT NULL,
    kind text NOT NULL,
    last_seq integer NOT NULL,
    last_issued_at timestamptz NOT NULL,
    CONSTRAINT pk_gst_counters PRIMARY KEY (seller_id, financial_year, kind),
    CONSTRAINT ck_gst_counters_kind CHECK (kind IN ('INVOICE', 'CREDIT_NOTE')),
    CONSTRAINT ck_gst_counters_last_seq CHECK (last_seq >= 0),
    CONSTRAINT fk_gst_counters_seller_id FOREIGN KEY (seller_id) REFERENCES gst_suppliers (id)
);

-- `content` is the whole document as JSON; the columns beside it are what is looked for and added.
CREATE TABLE gst_documents (
    id text NOT NULL,
    kind text NOT NULL,
    order_id text NOT NULL,
    seller_id text NOT NULL,
    source_id text NOT NULL,
    invoice_id text,
    financial_year integer NOT NULL,
    seq integer NOT NULL,
    number text NOT NULL,
    issued_at timestamptz NOT NULL,
    currency text NOT NULL,
    taxable_paise bigint NOT NULL,
    cgst_paise bigint NOT NULL,
    sgst_paise bigint NOT NULL,
    igst_paise bigint NOT NULL,
    round_off_paise bigint NOT NULL,
    payable_paise bigint NOT NULL,
    content text NOT NULL,
    content_sha256 text NOT NULL,
    CONSTRAINT pk_gst_documents PRIMARY KEY (id),
    CONSTRAINT ck_gst_documents_kind CHECK (kind IN ('INVOICE', 'CREDIT_NOTE')),
    CONSTRAINT ck_gst_documents_source CHECK (
        CASE kind WHEN 'INVOICE' THEN source_id = order_id AND invoice_id IS NULL
                  ELSE invoice_id IS NOT NULL END
    ),
    CONSTRAINT ck_gst_documents_seq CHECK (seq > 0),
    CONSTRAINT ck_gst_documents_number CHECK (number ~ '^[A-Z0-9/-]{1,16}$'),
    CONSTRAINT ck_gst_documents_adds_up CHECK (
        taxable_paise + cgst_paise + sgst_paise + igst_paise + round_off_paise = payable_paise
    ),
    CONSTRAINT ck_gst_documents_amounts CHECK (
        taxable_paise >= 0 AND cgst_paise >= 0 AND sgst_paise >= 0 AND igst_paise >= 0
        AND payable_paise >= 0
    ),
    CONSTRAINT ck_gst_documents_content CHECK (
        content_sha256 = encode(sha256(convert_to(content, 'UTF8')), 'hex')
    ),
    CONSTRAINT uq_gst_documents_order_id_seller_id_kind_source_id
        UNIQUE (order_id, seller_id, kind, source_id),
    CONSTRAINT uq_gst_documents_seller_id_financial_year_kind_seq
        UNIQUE (seller_id, financial_year, kind, seq),
    CONSTRAINT uq_gst_documents_seller_id_number UNIQUE (seller_id, number),
    CONSTRAINT fk_gst_documents_order_id FOREIGN KEY (order_id) REFERENCES orders (id),
    CONSTRAINT fk_gst_documents_seller_id FOREIGN KEY (seller_id) REFERENCES gst_suppliers (id),
    CONSTRAINT fk_gst_documents_invoice_id FOREIGN KEY (invoice_id) REFERENCES gst_documents (id)
);
CREATE INDEX ix_gst_documents_invoice_id ON gst_documents (invoice_id);

CREATE TABLE gst_document_lines (
    document_id text NOT NULL,
    line_no integer NOT NULL,
    qty integer NOT NULL,
    taxable_paise bigint NOT NULL,
    cgst_paise bigint NOT NULL,
    sgst_paise bigint NOT NULL,
    igst_paise bigint NOT NULL,
    CONSTRAINT pk_gst_document_lines PRIMARY KEY (document_id, line_no),
    CONSTRAINT ck_gst_document_lines_qty CHECK (qty > 0),
    CONSTRAINT ck_gst_document_lines_amounts CHECK (
        taxable_paise >= 0 AND cgst_paise >= 0 AND sgst_paise >= 0 AND igst_paise >= 0
    ),
    CONSTRAINT fk_gst_document_lines_document_id
        FOREIGN KEY (document_id) REFERENCES gst_documents (id)
);

-- Rendered once, from `content` alone.
CREATE TABLE gst_document_files (
    document_id text NOT NULL,
    pdf bytea NOT NULL,
    sha256 text NOT NULL,
    rendered_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT pk_gst_document_files PRIMARY KEY (document_id),
    CONSTRAINT ck_gst_document_files_sha256 CHECK (sha256 = encode(sha256(pdf), 'hex')),
    CONSTRAINT fk_gst_document_files_document_id
        FOREIGN KEY (document_id) REFERENCES gst_documents (id)
);
