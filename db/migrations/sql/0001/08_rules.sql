-- Rules that hold whoever writes: append-only tables, stock levels, order totals, the ledger.
-- Each refusal carries a constraint name, so that callers can tell them apart.

-- Facts are never changed; a correction is a new fact.
CREATE FUNCTION refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION '% is append-only: % is refused; write a correcting entry instead',
        TG_TABLE_NAME, TG_OP
        USING ERRCODE = 'restrict_violation', CONSTRAINT = TG_NAME, TABLE = TG_TABLE_NAME;
END $$;

CREATE TRIGGER stock_entries_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON stock_entries
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
CREATE TRIGGER ledger_entries_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON ledger_entries
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
CREATE TRIGGER saga_events_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON saga_events
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();

-- A level is the fold of its entries: each statement's entries are summed and applied once.
CREATE FUNCTION apply_stock_entries() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    touched bigint;
    wanted bigint;
BEGIN
    -- only a receipt may open a level
    INSERT INTO stock_levels (sku, warehouse_id)
    SELECT DISTINCT sku, warehouse_id FROM added WHERE kind = 'RECEIVE'
    ORDER BY sku, warehouse_id
    ON CONFLICT DO NOTHING;

    -- every writer locks in the same order, so that two of them cannot wait on each other
    PERFORM 1 FROM stock_levels
    WHERE (sku, warehouse_id) IN (SELECT sku, warehouse_id FROM added)
    ORDER BY sku, warehouse_id
    FOR NO KEY UPDATE;

    UPDATE stock_levels AS level
    SET on_hand = level.on_hand + delta.on_hand,
        reserved = level.reserved + delta.reserved,
        shipped = level.shipped + delta.shipped,
        written_off = level.written_off + delta.written_off
    FROM (
        SELECT sku, warehouse_id,
               sum(on_hand_delta) AS on_hand, sum(reserved_delta) AS reserved,
               sum(shipped_delta) AS shipped, sum(written_off_delta) AS written_off
        FROM added GROUP BY sku, warehouse_id
    ) AS delta
    WHERE level.sku = delta.sku AND level.warehouse_id = delta.warehouse_id;

    GET DIAGNOSTICS touched = ROW_COUNT;
    SELECT count(*) INTO wanted FROM (SELECT DISTINCT sku, warehouse_id FROM added) AS places;
    IF touched <> wanted THEN
        RAISE EXCEPTION 'stock was moved where none was ever received'
            USING ERRCODE = 'check_violation', CONSTRAINT = 'stock_entries_have_levels',
                  TABLE = 'stock_entries';
    END IF;
    RETURN NULL;
END $$;

CREATE TRIGGER stock_entries_apply AFTER INSERT ON stock_entries
    REFERENCING NEW TABLE AS added
    FOR EACH STATEMENT EXECUTE FUNCTION apply_stock_entries();

-- ... and by no other way: at depth 1 the statement came from a client, not from the trigger above.
CREATE FUNCTION refuse_direct_level() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF pg_trigger_depth() < 2 THEN
        RAISE EXCEPTION 'stock_levels follows stock_entries: insert an entry instead'
            USING ERRCODE = 'restrict_violation', CONSTRAINT = TG_NAME, TABLE = TG_TABLE_NAME;
    END IF;
    RETURN NULL;
END $$;

CREATE TRIGGER stock_levels_follow_entries
    BEFORE INSERT OR UPDATE OR DELETE OR TRUNCATE ON stock_levels
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_direct_level();

-- A reservation ends once.
CREATE FUNCTION refuse_second_end() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'reservation % has ended: it is % and cannot become %',
        OLD.id, OLD.state, NEW.state
        USING ERRCODE = 'check_violation', CONSTRAINT = TG_NAME, TABLE = TG_TABLE_NAME;
END $$;

CREATE TRIGGER reservations_end_once BEFORE UPDATE OF state ON reservations
    FOR EACH ROW WHEN (OLD.state <> 'HELD' AND NEW.state <> OLD.state)
    EXECUTE FUNCTION refuse_second_end();

-- An order's total is that of its breakdown and of its items, at commit.
CREATE FUNCTION check_order_total() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    subject text := CASE TG_ARGV[0]
        WHEN 'orders' THEN to_jsonb(NEW) ->> 'id'
        ELSE to_jsonb(coalesce(NEW, OLD)) ->> 'order_id' END;
    stated bigint;
    breakdown bigint;
    summed bigint;
BEGIN
    SELECT o.total_paise,
           (o.price_breakdown ->> 'total_paise')::bigint,
           (SELECT coalesce(sum(i.line_total_paise), 0) FROM order_items i WHERE i.order_id = o.id)
               + (o.price_breakdown ->> 'shipping_paise')::bigint
               + (o.price_breakdown ->> 'round_off_paise')::bigint
    INTO stated, breakdown, summed
    FROM orders o WHERE o.id = subject;

    IF FOUND AND (stated IS DISTINCT FROM breakdown OR stated IS DISTINCT FROM summed) THEN
        RAISE EXCEPTION 'order % says % paise, its breakdown %, its items, shipping and rounding %',
            subject, stated, breakdown, summed
            USING ERRCODE = 'check_violation', CONSTRAINT = 'orders_total_adds_up',
                  TABLE = 'orders';
    END IF;
    RETURN NULL;
END $$;

CREATE CONSTRAINT TRIGGER orders_total_adds_up
    AFTER INSERT OR UPDATE OF total_paise, price_breakdown ON orders
    DEFERRABLE INITIALLY DEFERRED
    FOR EACH ROW EXECUTE FUNCTION check_order_total('orders');
CREATE CONSTRAINT TRIGGER order_items_total_adds_up
    AFTER INSERT OR UPDATE OR DELETE ON order_items
    DEFERRABLE INITIALLY DEFERRED
    FOR EACH ROW EXECUTE FUNCTION check_order_total('order_items');

-- Every movement of money has two sides, at commit.
CREATE FUNCTION check_ledger_balance() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    rest record;
BEGIN
    SELECT currency, sum(amount_paise) AS paise INTO rest
    FROM ledger_entries WHERE txn_key = NEW.txn_key
    GROUP BY currency HAVING sum(amount_paise) <> 0 LIMIT 1;
    IF FOUND THEN
        RAISE EXCEPTION 'ledger transaction % is out of balance by % paise (%)',
            NEW.txn_key, rest.paise, rest.currency
            USING ERRCODE = 'check_violation', CONSTRAINT = 'ledger_entries_balanced',
                  TABLE = 'ledger_entries';
    END IF;
    RETURN NULL;
END $$;

CREATE CONSTRAINT TRIGGER ledger_entries_balanced AFTER INSERT ON ledger_entries
    DEFERRABLE INITIALLY DEFERRED
    FOR EACH ROW EXECUTE FUNCTION check_ledger_balance();
