"""A trigger of the customer's that refuses the result of one recipient: that row is set aside."""


class Refusing:
    RECIPIENT = "01099990000"

    def __init__(self, database):
        self.database = database
        d = database.dialect
        if d == "sqlite":
            database.execute("CREATE TRIGGER nope BEFORE INSERT ON mt_result WHEN NEW.recipient = '%s' "
                             "BEGIN SELECT RAISE(ABORT, 'not this one'); END" % self.RECIPIENT)
        elif d == "mysql":
            database.execute("CREATE TRIGGER nope BEFORE INSERT ON mt_result FOR EACH ROW "
                             "IF NEW.recipient = '%s' THEN SIGNAL SQLSTATE '45000' SET MESSAGE_TEXT = 'not this one'; "
                             "END IF" % self.RECIPIENT)
        else:
            database.execute("CREATE FUNCTION nope() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN "
                             "IF NEW.recipient = ''%s'' THEN RAISE EXCEPTION ''not this one''; END IF; "
                             "RETURN NEW; END'" % self.RECIPIENT)
            database.execute("CREATE TRIGGER nope BEFORE INSERT ON mt_result FOR EACH ROW EXECUTE FUNCTION nope()")

    def again(self):
        """The agent would try again within the minute."""
        self.database.execute("UPDATE {p}send SET due_at = %s WHERE status = 4 AND pend_class IS NOT NULL"
                              % self.database.later_sql(-1))

    def relent(self):
        on = " ON mt_result" if self.database.dialect == "postgresql" else ""
        self.database.execute("DROP TRIGGER nope" + on)
        self.again()
