-- admin_cancel: asks for cancellation of rows that wait, and of claimed ones should they come back. args: ids cols: none write: yes
UPDATE {send} SET cancel_yn = 'Y' WHERE msg_id IN ({ids}) AND status IN (0, 1, 5)
