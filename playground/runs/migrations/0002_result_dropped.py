"""What a broker let go is stored too."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("runs", "0001_jobs")]

    operations = [
        migrations.AddField(model_name="result", name="dropped", field=models.IntegerField(null=True)),
    ]
