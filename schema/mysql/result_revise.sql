-- result_revise: a late report: UNKNOWN becomes what it says. args: class code text provider_code provider_id
-- carrier parts done_at msg_id created_at rev cols: none write: yes
UPDATE {result}
SET result_class = ?, result_code = ?, result_text = ?, provider_code = COALESCE(?, provider_code),
  provider_id = COALESCE(?, provider_id), carrier = COALESCE(?, carrier), parts = COALESCE(?, parts),
  done_at = COALESCE(?, NOW(3)), rev = rev + 1, late = 'Y', changed_at = NOW(3), read_yn = 'N'
WHERE msg_id = ? AND created_at = ? AND rev = ? AND result_class = 'UNKNOWN'
