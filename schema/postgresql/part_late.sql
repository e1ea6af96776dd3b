-- part_late: a report about a part of a message that ended as UNKNOWN; whoever comes second has to see the first.
-- args: msg_id created_at rev cols: none write: yes
UPDATE {result} SET changed_at = clock_timestamp()
WHERE msg_id = ? AND created_at = CAST(? AS TIMESTAMPTZ) AND rev = ? AND result_class = 'UNKNOWN'
