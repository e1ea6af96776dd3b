-- report_drop: reports that were applied. args: ids cols: none write: yes
DELETE FROM {report} WHERE id IN ({ids})
