-- Rules of documents that hold whoever writes.

CREATE TRIGGER gst_documents_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON gst_documents
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
CREATE TRIGGER gst_document_lines_append_only
    BEFORE UPDATE OR DELETE OR TRUNCATE ON gst_document_lines
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
CREATE TRIGGER gst_document_files_append_only
    BEFORE UPDATE OR DELETE OR TRUNCATE ON gst_document_files
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();

-- A number follows its predecessor, in time too: no gap, and no later number with an earlier date.
CREATE FUNCTION refuse_gap() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NEW.seq > 1 AND NOT EXISTS (
        SELECT FROM gst_documents
        WHERE seller_id = NEW.seller_id AND financial_year = NEW.financial_year
          AND kind = NEW.kind AND seq = NEW.seq - 1 AND issued_at <= NEW.issued_at
    ) THEN
        RAISE EXCEPTION '% does not follow the number before it', NEW.number
            USING ERRCODE = 'check_violation', CONSTRAINT = 'gst_documents_consecutive',
                  TABLE = 'gst_documents';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER gst_documents_consecutive BEFORE INSERT ON gst_documents
    FOR EACH ROW EXECUTE FUNCTION refuse_gap();

-- What credit notes take back of a line is at most what its invoice has, in pieces and each head.
CREATE FUNCTION refuse_credit_that_does_not_fit() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    invoice text;
BEGIN
    SELECT invoice_id INTO invoice FROM gst_documents WHERE id = NEW.document_id;
    IF invoice IS NULL THEN
        RETURN NEW;
    END IF;
    PERFORM 1 FROM gst_documents WHERE id = invoice FOR NO KEY UPDATE;
    IF NOT EXISTS (
        SELECT FROM gst_document_lines AS sold,
            LATERAL (
                SELECT coalesce(sum(line.qty), 0) AS qty,
                       coalesce(sum(line.taxable_paise), 0) AS taxable,
                       coalesce(sum(line.cgst_paise), 0) AS cgst,
                       coalesce(sum(line.sgst_paise), 0) AS sgst,
                       coalesce(sum(line.igst_paise), 0) AS igst
                FROM gst_document_lines AS line
                JOIN gst_documents AS note ON note.id = line.document_id
                WHERE note.invoice_id = invoice AND line.line_no = NEW.line_no
            ) AS credited
        WHERE sold.document_id = invoice AND sold.line_no = NEW.line_no
          AND credited.qty + NEW.qty <= sold.qty
          AND credited.taxable + NEW.taxable_paise <= sold.taxable_paise
          AND credited.cgst + NEW.cgst_paise <= sold.cgst_paise
          AND credited.sgst + NEW.sgst_paise <= sold.sgst_paise
          AND credited.igst + NEW.igst_paise <= sold.igst_paise
    ) THEN
        RAISE EXCEPTION 'a credit of % pieces does not fit line % of invoice %',
            NEW.qty, NEW.line_no, invoice
            USING ERRCODE = 'check_violation', CONSTRAINT = 'gst_credits_fit',
                  TABLE = 'gst_document_lines';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER gst_credits_fit BEFORE INSERT ON gst_document_lines
    FOR EACH ROW EXECUTE FUNCTION refuse_credit_that_does_not_fit();
